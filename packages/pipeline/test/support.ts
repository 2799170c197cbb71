/** A small host, a guest whose every answer a test decides, and a plan to apply. */
import {
  DomainId,
  NumaKeys,
  type Plan,
  PnodeId,
  type Step,
  VcpuId,
  VnodeId,
} from "@virtflex/topo-model";
import { type DomainInfo, Hypervisor } from "@virtflex/xen-control";
import {
  type EmbeddedGuest,
  EmbeddedHost,
  laptopConfig,
  layer as embeddedLayer,
} from "@virtflex/xen-control/embedded";
import { Effect, Layer, Option, Queue, Result, Stream } from "effect";
import { Controller, type Liveness, type Owner, type Progress } from "../src/index.ts";

export const gib = 1024 ** 3;
export const mib = 1024 ** 2;
/** What a vnode that left keeps. */
export const lowBytes = 64 * mib;
export const domain = DomainId.make(1);
const { path } = NumaKeys;

/** Four pnodes, each with one pcpu and 2 GiB; a guest with a vnode of 1 GiB on each. */
export const config = laptopConfig([0, 1, 2, 3]);

export const self: Owner = { pid: 4711, startTicks: 1, bootId: "b", pidNamespace: "pid:[1]" };

/** This process is `self`; of all others the test says whether they live. */
export const controllerLayer = (liveness: Liveness = "gone") =>
  Layer.succeed(
    Controller,
    Controller.of({
      self,
      liveness: (owner) => Effect.succeed(owner.pid === self.pid ? "alive" : liveness),
    }),
  );

/** A controller of another pid on the same host. */
export const strangerLayer = Layer.succeed(
  Controller,
  Controller.of({ self: { ...self, pid: 815 }, liveness: () => Effect.succeed("alive") }),
);

export const hostLayer = Layer.merge(embeddedLayer(config), controllerLayer());

const leave = (vnode: number): Step => ({
  _tag: "request",
  domain,
  op: { from: "expand", to: "shrink" },
  vnodes: [
    {
      vnode: VnodeId.make(vnode),
      pnode: { from: PnodeId.make(vnode), to: PnodeId.make(vnode) },
      targetBytes: { from: gib, to: lowBytes },
      desired: { from: "online", to: "offline" },
    },
  ],
  targetBytes: { from: 4 * gib, to: 3 * gib + lowBytes },
});

/** Takes vnode 3 out of use, as the planner would plan it. */
export const shrinkPlan: Plan = {
  changes: [{ _tag: "shrink", domain, vnodes: [VnodeId.make(3)] }],
  steps: [
    leave(3),
    { _tag: "vcpus", domain, vcpus: [VcpuId.make(3)], online: { from: true, to: false } },
    { _tag: "limit", domain, limitBytes: { from: 4 * gib, to: 3 * gib + lowBytes } },
  ],
  cost: { bytes: 0, smallPages: 0, superpages: 0, seconds: 0 },
};

type Guest = EmbeddedGuest["Service"];

export interface Scripted {
  readonly store: Guest["store"];
  readonly request: NumaKeys.Request;
  readonly say: (status: NumaKeys.RequestStatus) => Effect.Effect<void>;
  readonly report: (vnode: number, bytes: number, state: string) => Effect.Effect<void>;
  /** Does what the host wants of each vnode, and reports it. */
  readonly comply: Effect.Effect<void>;
}

/** Acts as the guest: `answer` is called for each value of `numa/request`. */
export const runGuest = Effect.fnUntraced(function* (
  answer: (scripted: Scripted) => Effect.Effect<void>,
) {
  const host = yield* EmbeddedHost;
  const guest = yield* host.guest(domain);
  const { store } = guest;
  yield* store.write(path.feature, NumaKeys.contractVersion);
  const report = (vnode: number, bytes: number, state: string) =>
    Effect.orDie(store.write(path.nodeStatus(vnode), `${bytes / 1024} ${state}`));
  const comply = Effect.gen(function* () {
    for (const name of yield* store.list(path.nodes)) {
      const vnode = VnodeId.make(Number(name));
      const target = Result.getOrThrow(NumaKeys.parseKib(yield* store.read(path.target(vnode))));
      const held = yield* guest.heldBytes(vnode);
      if (held > target) yield* guest.decrease(vnode, held - target);
      if (held < target) yield* guest.populate(vnode, target - held);
      yield* report(vnode, yield* guest.heldBytes(vnode), yield* store.read(path.desired(vnode)));
    }
  }).pipe(Effect.orDie);

  yield* store.watch(path.request).pipe(
    Stream.mapEffect(() => Effect.option(store.read(path.request))),
    Stream.filter(Option.isSome),
    Stream.map(({ value }) => Result.getOrThrow(NumaKeys.parseRequest(value))),
    Stream.changesWith((a, b) => a.id === b.id && a.op === b.op),
    Stream.runForEach((request) =>
      answer({
        store,
        request,
        say: (status) => Effect.orDie(store.write(path.state, NumaKeys.printState(status))),
        report,
        comply,
      }),
    ),
    Effect.forkScoped,
  );
});

/** A guest that does everything at once, and cancels nothing. */
export const obedient = ({ request, say, comply }: Scripted) =>
  Effect.andThen(comply, say({ id: request.id, state: "done" }));

/** What a test compares: everything that a change could leave behind. */
export const everything = Effect.gen(function* () {
  const hypervisor = yield* Hypervisor;
  const host = yield* hypervisor.host;
  const info: DomainInfo = yield* hypervisor.domain(domain);
  return { host, info };
});

/** Collects progress. */
export const recorder = Effect.gen(function* () {
  const queue = yield* Queue.unbounded<Progress>();
  return {
    onProgress: (progress: Progress) => Effect.asVoid(Queue.offer(queue, progress)),
    all: Queue.clear(queue),
  };
});
