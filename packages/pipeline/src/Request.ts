/**
 * A request to the guest: written after the keys that it is about, awaited by
 * one watch, cancelled and taken back. See contracts.md, "xenstore: host ↔ guest".
 *
 * The host's own keys say what was asked; the guest's say only what became of
 * it, and are hostile: a value that is not of its grammar, that names another
 * request or that goes back on the way accepted → evacuating → resizing →
 * settling is as good as not written.
 *
 * @since 0.1.0
 */
import { type DomainId, NumaKeys, type RequestStep, type Vnode } from "@virtflex/topo-model";
import {
  Hypervisor,
  XenStore,
  XenStoreError,
  type XenStoreFailure,
  type XenStoreOps,
} from "@virtflex/xen-control";
import { Duration, Effect, Stream } from "effect";
import {
  DeadlinePassed,
  DomainGone,
  GuestCancelled,
  GuestRefused,
  GuestSilent,
  TargetMissed,
} from "./ChangeError.ts";
import { isAware, listOptional, parseOptional, readKey, readOptional } from "./StoreKeys.ts";

const { at, path } = NumaKeys;

/** What the guest says now of itself and of one request. */
export interface GuestStatus {
  /** Of the request that was asked about; undefined before the guest took it up. */
  readonly status: NumaKeys.RequestStatus | undefined;
  readonly generation: bigint | undefined;
  readonly runtimes: NumaKeys.Runtimes | undefined;
  readonly nodes: ReadonlyMap<number, NumaKeys.NodeStatus>;
}

/** The store may be a process away: what need not wait does not. */
const atOnce = { concurrency: "unbounded" } as const;

const readStatus = Effect.fnUntraced(function* (
  domain: DomainId,
  request: number,
  vnodes: ReadonlyArray<Vnode["id"]>,
) {
  const read = <A>(key: string, parse: (text: string) => NumaKeys.Parsed<A>) =>
    readKey(domain, key, parse);
  // The state first: the guest writes it last, so the rest is not older.
  const state = yield* read(path.state, NumaKeys.parseState);
  const [generation, nodes, runtimes] = yield* Effect.all(
    [
      read(path.generation, NumaKeys.parseGeneration),
      Effect.forEach(
        vnodes,
        (vnode) =>
          Effect.map(read(path.nodeStatus(vnode), NumaKeys.parseNodeStatus), (node) =>
            node === undefined ? [] : [[vnode, node] as const],
          ),
        atOnce,
      ),
      read(path.runtimes, NumaKeys.parseRuntimes),
    ],
    atOnce,
  );
  return {
    status: state?.id === request ? state : undefined,
    generation,
    runtimes,
    nodes: new Map(nodes.flat()),
  } satisfies GuestStatus;
});

/**
 * libxl removes the directory of a domain before the domain itself. One that a write
 * of ours brought back has nothing but our keys in it.
 */
const hasDirectory = (store: XenStoreOps, domain: DomainId) =>
  Effect.map(listOptional(store, NumaKeys.domainPath(domain)), (names) =>
    names.some((name) => name !== "numa"),
  );

const checkAlive = Effect.fnUntraced(function* (domain: DomainId) {
  const hypervisor = yield* Hypervisor;
  const gone = Effect.fail(new DomainGone({ domain }));
  if (!(yield* hasDirectory(yield* XenStore, domain))) return yield* gone;
  const { state } = yield* hypervisor.domain(domain).pipe(
    Effect.catchIf(
      (error) => error._tag === "HypervisorError" && error.reason === "NoSuchDomain",
      () => gone,
    ),
  );
  if (state === "dying") return yield* gone;
});

/** A write that came after the end of its domain has brought back its directory. */
const clearAway = Effect.fnUntraced(function* (domain: DomainId) {
  const store = yield* XenStore;
  if (!(yield* hasDirectory(store, domain))) yield* store.remove(NumaKeys.domainPath(domain));
});

/** What is not there may have gone with its domain. */
const namingTheGone = <A, E, R>(effect: Effect.Effect<A, E, R>, { domain }: RequestStep) =>
  effect.pipe(
    Effect.tapError((error) =>
      error instanceof XenStoreError && error.errno === "ENOENT" ? checkAlive(domain) : Effect.void,
    ),
    Effect.tapError((error) => (error instanceof DomainGone ? clearAway(domain) : Effect.void)),
  );

/** The host's own keys of a request step. */
const writeVnodes = Effect.fnUntraced(function* (step: RequestStep) {
  const store = yield* XenStore;
  // Not for a domain that is gone.
  yield* store.read(at(step.domain, path.version));
  const write = (key: string, value: string) => store.write(at(step.domain, key), value);
  const writes = step.vnodes.flatMap(({ vnode, pnode, targetBytes, desired }) => [
    write(path.pnode(vnode), NumaKeys.printPnode(pnode.to)),
    write(path.target(vnode), NumaKeys.printKib(targetBytes.to)),
    write(path.desired(vnode), desired.to),
  ]);
  yield* Effect.all(writes, { ...atOnce, discard: true });
});

/**
 * Lets `memory/target` say what the domain has now: the toolstack's word, which the guest's own balloon
 * driver follows by itself. Not earlier, lest that driver takes the memory of a leaving vnode from all of
 * them, or lets go what an arriving one has got.
 */
const writeTarget = Effect.fnUntraced(function* ({ domain, targetBytes }: RequestStep) {
  if (targetBytes === undefined) return;
  const store = yield* XenStore;
  const key = at(domain, path.memoryTarget);
  // Neither for a domain that is gone, nor for one of a toolstack that has no such key.
  if ((yield* readOptional(store, key)) === undefined) return;
  yield* store.write(key, NumaKeys.printKib(targetBytes.to));
});

const clampDeadline = (ms: number) => Math.min(Math.max(1, Math.ceil(ms)), NumaKeys.maxDeadlineMs);

/**
 * Writes the request; answers its id. No transaction: the request comes when all that
 * it is about is there, a guest acts on nothing else, and the journal keeps
 * other controllers away.
 */
const submit = Effect.fn("Request.submit")(function* (step: RequestStep, deadlineMs: number) {
  const store = yield* XenStore;
  const key = at(step.domain, path.request);
  const [last] = yield* Effect.all(
    [parseOptional(store, key, NumaKeys.parseRequest), writeVnodes(step)],
    atOnce,
  );
  const id = (last?.id ?? 0) + 1;
  const request = { id, op: step.op.to, deadlineMs: clampDeadline(deadlineMs) };
  yield* store.write(key, NumaKeys.printRequest(request));
  return id;
});

const order = ["accepted", "evacuating", "resizing", "settling", "done", "failed", "cancelled"];
const rank = ({ status }: GuestStatus) => (status === undefined ? -1 : order.indexOf(status.state));

/** Waits until the guest ended the request, telling what it says meanwhile. */
const ended = Effect.fn("Request.ended")(function* <E, R>(
  domain: DomainId,
  request: number,
  vnodes: ReadonlyArray<Vnode["id"]>,
  onStatus: (status: GuestStatus) => Effect.Effect<void, E, R>,
) {
  const store = yield* XenStore;
  // It tells of the end of the domain as well, whose directory goes.
  const last = yield* store.watch(at(domain, path.status)).pipe(
    // What there is now says all that the events before it did.
    Stream.buffer({ capacity: 1, strategy: "sliding" }),
    // A guest that writes without end costs the host this much and no more.
    Stream.throttle({
      cost: (events) => events.length,
      units: 100,
      duration: "1 second",
      burst: 100,
    }),
    Stream.mapEffect(() => readStatus(domain, request, vnodes)),
    Stream.tap(({ status }) => (status === undefined ? checkAlive(domain) : Effect.void)),
    Stream.mapAccum(
      () => -1,
      (reached, status) => {
        const now = rank(status);
        return now < reached ? [reached, []] : [now, [status]];
      },
    ),
    Stream.changes,
    Stream.tap(onStatus),
    Stream.takeUntil(({ status }) => status !== undefined && NumaKeys.isFinal(status)),
    Stream.runLast,
  );
  // The watch ends only with the store, which is a failure of the watch itself.
  return yield* Effect.orDie(Effect.fromOption(last));
});

/** What the guest says it reached, against what it was asked for. */
const verify = Effect.fnUntraced(function* (step: RequestStep, { nodes }: GuestStatus) {
  for (const { vnode, targetBytes, desired } of step.vnodes) {
    const node = nodes.get(vnode);
    const reached =
      node?.state === desired.to &&
      Math.abs(node.actualBytes - targetBytes.to) <= NumaKeys.toleranceBytes;
    if (!reached) {
      return yield* new TargetMissed({
        domain: step.domain,
        vnode,
        targetBytes: targetBytes.to,
        ...node,
      });
    }
  }
});

export type OnStatus = (request: number, status: GuestStatus) => Effect.Effect<void>;

export interface UndoOptions {
  /** The step is known to have been done; else it may have been begun, or not even that. */
  readonly completed: boolean;
  /** Records that the guest is asked for the inverse: whoever goes on from there must not take that for the step. */
  readonly goBack: Effect.Effect<void, XenStoreFailure, XenStore>;
  /** How long the guest has to answer a cancellation. */
  readonly graceMs: number;
  /** How long the guest has to answer the inverse of what it had done. */
  readonly deadlineMs: number;
}

/** Asks the guest and waits for it, with no limit of its own. */
export const ask = Effect.fn("Request.ask")(function* (
  step: RequestStep,
  deadlineMs: number,
  onStatus: OnStatus,
) {
  const { domain } = step;
  const vnodes = step.vnodes.map(({ vnode }) => vnode);
  const request = yield* submit(step, deadlineMs);
  const last = yield* ended(domain, request, vnodes, (status) => onStatus(request, status));
  switch (last.status?.state) {
    case "failed":
      return yield* new GuestRefused({ domain, request, reason: last.status.code });
    case "cancelled":
      return yield* new GuestCancelled({ domain, request });
    default:
      yield* verify(step, last);
      return yield* writeTarget(step);
  }
}, namingTheGone);

/**
 * Brings the last request to an end: whatever still runs is cancelled.
 * Answers its last status, undefined if the guest never took it up.
 */
const settle = Effect.fnUntraced(function* (
  { domain, vnodes }: RequestStep,
  graceMs: number,
  onStatus: OnStatus,
) {
  const store = yield* XenStore;
  const key = at(domain, path.request);
  const last = yield* parseOptional(store, key, NumaKeys.parseRequest);
  if (last === undefined) return undefined;
  const ids = vnodes.map(({ vnode }) => vnode);
  const now = yield* readStatus(domain, last.id, ids);
  if (now.status !== undefined && NumaKeys.isFinal(now.status)) return now.status;

  const cancel = { id: last.id, op: "cancel", deadlineMs: clampDeadline(graceMs) } as const;
  yield* store.write(key, NumaKeys.printRequest(cancel));
  return yield* ended(domain, last.id, ids, (status) => onStatus(last.id, status)).pipe(
    Effect.map(({ status }) => status),
    Effect.timeoutOrElse({
      duration: Duration.millis(graceMs),
      orElse: () => Effect.map(readStatus(domain, last.id, ids), ({ status }) => status),
    }),
  );
});

/**
 * Takes a request back, however far it came, given its inverse. A guest that failed or cancelled
 * it is by contract as it was before; one that had done it, or failed with `restore`, has to be asked
 * for the inverse.
 */
export const takeBack = Effect.fn("Request.takeBack")(function* (
  inverse: RequestStep,
  { completed, goBack, graceMs, deadlineMs }: UndoOptions,
  onStatus: OnStatus,
) {
  const { domain } = inverse;
  const status = completed ? undefined : yield* settle(inverse, graceMs, onStatus);
  const strayed = status?.state === "failed" && status.code === "restore";
  if (completed || status?.state === "done" || (strayed && (yield* isAware(domain)))) {
    yield* goBack;
    return yield* ask(inverse, deadlineMs, onStatus).pipe(
      Effect.timeoutOrElse({
        duration: Duration.millis(deadlineMs),
        orElse: () => new DeadlinePassed({ deadlineMs }),
      }),
    );
  }
  yield* writeVnodes(inverse);
  if (status === undefined || status.state === "cancelled") return;
  if (status.state !== "failed") return yield* new GuestSilent({ domain, request: status.id });
  if (strayed) {
    return yield* new GuestRefused({ domain, request: status.id, reason: "restore" });
  }
}, namingTheGone);
