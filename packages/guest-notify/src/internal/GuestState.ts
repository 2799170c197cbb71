/**
 * What the guest is now: the state and memory of each vnode, which of its vCPUs
 * may be used, and the two places that tell of it, the topology page and
 * `numa/status`.
 */
import { NumaKeys, type VcpuId, type VnodeId } from "@virtflex/topo-model";
import { Effect, Result, Semaphore } from "effect";
import { Balloon } from "../Balloon.ts";
import { PagePublisher } from "../PagePublisher.ts";
import { countAdapted, RuntimeRegistry } from "../RuntimeRegistry.ts";
import type { PageNode, TopologyPage } from "../TopologyPage.ts";
import { Vcpus } from "../Vcpus.ts";
import type { HostNode } from "./HostKeys.ts";
import { type Store, stopped } from "./Store.ts";

const { path } = NumaKeys;

/** ACPI's value for a node that is not this one, where nobody knows better. */
const otherDistance = 20;

interface Node {
  readonly vcpus: ReadonlyArray<VcpuId>;
  readonly status: NumaKeys.NodeStatus;
}

const absent: PageNode = { present: false, online: false, evacuating: false, memoryBytes: 0 };

const toPage = (
  nodes: ReadonlyMap<VnodeId, Node>,
  online: ReadonlySet<VcpuId>,
  distances: ReadonlyArray<ReadonlyArray<number>> | undefined,
): TopologyPage => {
  const ids = [...nodes.keys()].sort((a, b) => a - b);
  const count = Math.max(...ids) + 1;
  const used = [...nodes].flatMap(([vnode, { vcpus, status }]) =>
    status.state === "offline"
      ? []
      : vcpus.filter((vcpu) => online.has(vcpu)).map((vcpu) => [vcpu, vnode] as const),
  );
  const nodeOf = new Map<number, VnodeId>(used);
  const distance = (from: number, to: number) =>
    from === to
      ? 10
      : (distances?.[ids.findIndex((id) => id === from)]?.[ids.findIndex((id) => id === to)] ??
        otherDistance);
  const every = Array.from({ length: count }, (_, id) => id);
  return {
    nodes: every.map((id) => {
      const status = nodes.get(id as VnodeId)?.status;
      return status === undefined
        ? absent
        : {
            present: true,
            online: status.state !== "offline",
            evacuating: status.state === "evacuating",
            memoryBytes: status.actualBytes,
          };
    }),
    cpuNode: Array.from(
      { length: Math.max(0, ...nodeOf.keys()) + 1 },
      (_, cpu) => nodeOf.get(cpu) ?? null,
    ),
    distances: every.map((from) => every.map((to) => distance(from, to))),
    resetCall: 0,
  };
};

/**
 * `distances` is the SLIT that the guest was built with, a row and a column for
 * each vnode in order.
 */
export const make = Effect.fnUntraced(function* (
  store: Store,
  distances: ReadonlyArray<ReadonlyArray<number>> | undefined,
) {
  const balloon = yield* Balloon;
  const vcpus = yield* Vcpus;
  const publisher = yield* PagePublisher;
  const registry = yield* RuntimeRegistry;

  const nodes = new Map<VnodeId, Node>();
  let online: ReadonlySet<VcpuId> = new Set();
  let generation = 0n;
  /** Page and status are told of one after another. */
  const exclusive = yield* Semaphore.make(1);

  const writeNodes = Effect.suspend(() =>
    Effect.forEach(
      nodes,
      ([vnode, { status }]) =>
        store.write(path.nodeStatus(vnode), NumaKeys.printNodeStatus(status)),
      { concurrency: "unbounded", discard: true },
    ),
  );

  const writeRuntimes = Effect.gen(function* () {
    const registered = yield* registry.registered;
    const runtimes = {
      adapted: countAdapted(registered, generation),
      known: registered.runtimes.length,
    };
    yield* store.write(path.runtimes, NumaKeys.printRuntimes(runtimes));
  });

  /** The page first: it is what runtimes wait for. The generation last. */
  const publish = Effect.gen(function* () {
    if (nodes.size === 0) return generation;
    generation = yield* publisher.publish(toPage(nodes, online, distances));
    yield* Effect.all([writeNodes, writeRuntimes], { concurrency: "unbounded" });
    yield* store.write(path.generation, NumaKeys.printGeneration(generation));
    return generation;
  }).pipe(Semaphore.withPermit(exclusive), Effect.withSpan("GuestState.publish"));

  const set = (vnode: VnodeId, change: Partial<NumaKeys.NodeStatus>) => {
    const node = nodes.get(vnode);
    if (node !== undefined) nodes.set(vnode, { ...node, status: { ...node.status, ...change } });
  };

  const adopt = Effect.fnUntraced(function* ({ vnode, vcpus: own, desired }: HostNode) {
    const actualBytes = yield* Effect.mapError(balloon.actual(vnode), stopped);
    const known = nodes.get(vnode)?.status.state;
    const text = known === undefined ? yield* store.read(path.nodeStatus(vnode)) : undefined;
    const reported =
      text === undefined ? undefined : Result.getOrUndefined(NumaKeys.parseNodeStatus(text));
    const state = known ?? reported?.state ?? desired;
    nodes.set(vnode, { vcpus: own, status: { actualBytes, state } });
  });

  return {
    publish,
    /** The one that was published last. */
    get generation(): bigint {
      return generation;
    },
    set,
    /** What the guest is now, by vnode. */
    get statuses(): ReadonlyMap<VnodeId, NumaKeys.NodeStatus> {
      return new Map([...nodes].map(([vnode, { status }]) => [vnode, status]));
    },
    /**
     * Learns of its vnodes from the host. One that it did not know is in the
     * state that this guest last reported, or, if it never did, in the desired one.
     */
    learn: (host: ReadonlyArray<HostNode>) =>
      Effect.forEach(host, adopt, { concurrency: "unbounded", discard: true }),
    readVcpus: vcpus.online.pipe(
      Effect.mapError(stopped),
      Effect.map((now) => {
        online = now;
      }),
    ),
    writeNodes: exclusive.withPermit(writeNodes),
    writeRuntimes: exclusive.withPermit(writeRuntimes),
  };
});

export type GuestState = Effect.Success<ReturnType<typeof make>>;
