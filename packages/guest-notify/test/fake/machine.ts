/**
 * A guest's surroundings that nobody owns: its tree of xenstore, its balloon, a
 * page and runtimes. It outlives the agents that are started on it.
 */
import { NumaKeys, type VnodeId } from "@virtflex/topo-model";
import { Effect, Layer, Stream, SubscriptionRef } from "effect";
import {
  Balloon,
  GuestStore,
  PageError,
  PagePublisher,
  type PortFailure,
  type Registered,
  RuntimeRegistry,
  sameForRuntimes,
  type TopologyPage,
  Vcpus,
} from "../../src/index.ts";

export const gib = 1024 ** 3;
export const lowBytes = 64 * 1024 ** 2;
const { path } = NumaKeys;

class Killed extends Error {
  readonly code = "TEST_KILLED";
}

export interface Machine {
  readonly layer: Layer.Layer<GuestStore | Balloon | PagePublisher | RuntimeRegistry | Vcpus>;
  readonly get: (key: string) => string | undefined;
  /** What the host does: keys written at once, those that are undefined removed. */
  readonly put: (keys: Readonly<Record<string, string | undefined>>) => Effect.Effect<void>;
  readonly held: Map<number, number>;
  /** What each later page was, the last one at the end. */
  readonly pages: Array<TopologyPage & { readonly generation: bigint }>;
  /** Every value that `numa/status/state` had. */
  readonly states: Array<string>;
  /** Runtimes that are there. An adapting one acknowledges at once. */
  readonly runtimes: Map<number, { adapts: boolean; generation: bigint }>;
  readonly acknowledge: (pid: number) => Effect.Effect<void>;
  readonly faults: {
    /** Writes of the agent until its store fails. */
    writesLeft: number;
    /** Bytes that the balloon can still move, in and out. */
    freeBytes: number;
    drainableBytes: number;
    publish: boolean;
  };
}

/** Four vnodes of 1 GiB and 2 vCPUs each, all in use. */
export const make = Effect.fnUntraced(function* (vnodes = 4): Effect.fn.Return<Machine> {
  const tree = new Map<string, string>();
  const version = yield* SubscriptionRef.make(0);
  const held = new Map<number, number>();
  const pages: Machine["pages"] = [];
  const states: Array<string> = [];
  const runtimes: Machine["runtimes"] = new Map();
  const registered = yield* SubscriptionRef.make<Registered>({ generation: 0n, runtimes: [] });
  const faults: Machine["faults"] = {
    writesLeft: Infinity,
    freeBytes: Infinity,
    drainableBytes: Infinity,
    publish: false,
  };

  for (const [key, value] of [[path.version, "1"]] as const) tree.set(key, value);
  for (let vnode = 0; vnode < vnodes; vnode++) {
    tree.set(path.pnode(vnode), String(vnode));
    tree.set(path.capacity(vnode), NumaKeys.printKib(gib));
    tree.set(path.target(vnode), NumaKeys.printKib(gib));
    tree.set(path.vcpus(vnode), `${vnode * 2}-${vnode * 2 + 1}`);
    tree.set(path.desired(vnode), "online");
    for (const vcpu of [vnode * 2, vnode * 2 + 1]) tree.set(path.availability(vcpu), "online");
    held.set(vnode, gib);
  }

  const touch = SubscriptionRef.update(version, (n) => n + 1);
  const absent = (key: string): Effect.Effect<never, PortFailure> =>
    Effect.fail({ code: "XENSTORE_ENOENT", message: key });
  const dying = Effect.suspend((): Effect.Effect<void, PortFailure> => {
    if (faults.writesLeft-- > 0) return Effect.void;
    return Effect.fail(new Killed("the agent was killed"));
  });

  const store = GuestStore.of({
    read: (key) =>
      Effect.suspend(() => {
        const value = tree.get(key);
        return value === undefined ? absent(key) : Effect.succeed(value);
      }),
    write: Effect.fnUntraced(function* (key, value) {
      yield* dying;
      if (key === path.state) states.push(value);
      tree.set(key, value);
      yield* touch;
    }),
    list: (key) =>
      Effect.suspend(() => {
        const names = [...tree.keys()].flatMap((each) =>
          each.startsWith(`${key}/`) ? [each.slice(key.length + 1).split("/")[0] ?? ""] : [],
        );
        return names.length === 0 ? absent(key) : Effect.succeed([...new Set(names)]);
      }),
    remove: Effect.fnUntraced(function* (key) {
      yield* dying;
      if (!tree.delete(key)) return yield* absent(key);
      yield* touch;
    }),
    watch: (key) =>
      SubscriptionRef.changes(version).pipe(
        Stream.map(() =>
          JSON.stringify([...tree].filter(([each]) => each === key || each.startsWith(`${key}/`))),
        ),
        Stream.changes,
      ),
  });

  const move = (sign: 1 | -1, budget: "freeBytes" | "drainableBytes") =>
    Effect.fnUntraced(function* (vnode: VnodeId, bytes: number) {
      yield* Effect.yieldNow;
      const moved = Math.min(bytes, faults[budget]);
      faults[budget] -= moved;
      held.set(vnode, (held.get(vnode) ?? 0) + sign * moved);
      return moved;
    });
  const balloon = Balloon.of({
    actual: (vnode) => Effect.sync(() => held.get(vnode) ?? 0),
    balloonIn: move(1, "freeBytes"),
    balloonOut: move(-1, "drainableBytes"),
  });

  const look = (): Registered => ({
    generation: pages.at(-1)?.generation ?? 0n,
    runtimes: [...runtimes].map(([pid, { generation }]) => ({
      pid,
      generation,
      adaptedMs: undefined,
    })),
  });
  const tellRegistered = Effect.suspend(() => SubscriptionRef.set(registered, look()));
  const acknowledge = Effect.fnUntraced(function* (pid: number) {
    const runtime = runtimes.get(pid);
    if (runtime !== undefined) runtime.generation = pages.at(-1)?.generation ?? 0n;
    yield* tellRegistered;
  });

  const publisher = PagePublisher.of({
    path: "/nowhere",
    publish: Effect.fnUntraced(function* (page) {
      if (faults.publish) {
        return yield* new PageError({ path: "/nowhere", reason: "io", detail: "no space left" });
      }
      const last = pages.at(-1);
      const same = last !== undefined && sameForRuntimes(last, page);
      const generation = (last?.generation ?? 0n) + (same ? 0n : 1n);
      pages.push({ ...page, generation });
      for (const runtime of runtimes.values()) if (runtime.adapts) runtime.generation = generation;
      yield* tellRegistered;
      return generation;
    }),
  });
  const registry = RuntimeRegistry.of({
    registered: Effect.sync(look),
    changes: SubscriptionRef.changes(registered),
  });

  return {
    layer: Layer.mergeAll(
      Layer.succeed(Balloon, balloon),
      Layer.succeed(PagePublisher, publisher),
      Layer.succeed(RuntimeRegistry, registry),
      Layer.provideMerge(Vcpus.layerStore, Layer.succeed(GuestStore, store)),
    ),
    get: (key) => tree.get(key),
    put: Effect.fnUntraced(function* (keys) {
      for (const [key, value] of Object.entries(keys)) {
        if (value === undefined) tree.delete(key);
        else tree.set(key, value);
      }
      yield* touch;
    }),
    held,
    pages,
    states,
    runtimes,
    acknowledge,
    faults,
  };
});

/** The host's keys of a shrink to the vnodes that stay. */
export const shrinkTo = (stay: number, vnodes = 4): Record<string, string> => {
  const keys: Record<string, string> = {};
  for (let vnode = 0; vnode < vnodes; vnode++) {
    keys[path.desired(vnode)] = vnode < stay ? "online" : "offline";
    keys[path.target(vnode)] = NumaKeys.printKib(vnode < stay ? gib : lowBytes);
  }
  return keys;
};

/** What the guest says of its vnodes. */
export const nodeStatuses = ({ get }: Machine, vnodes = 4): Array<string | undefined> =>
  Array.from({ length: vnodes }, (_, vnode) => get(path.nodeStatus(vnode)));

/** Until the guest says this of a request; lets others run, and no time pass. */
export const until = Effect.fnUntraced(function* (machine: Machine, state: string) {
  for (let i = 0; i < 5000; i++) {
    if (machine.get(path.state) === state) return;
    yield* Effect.yieldNow;
  }
  return yield* Effect.die(
    new Error(`numa/status/state is ${machine.get(path.state) ?? "absent"}, not ${state}`),
  );
});

/** Lets everything run that needs no time. */
export const settle = Effect.gen(function* () {
  for (let i = 0; i < 200; i++) yield* Effect.yieldNow;
});
