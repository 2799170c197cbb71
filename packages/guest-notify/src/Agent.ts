/**
 * The guest's agent: serves `numa/request` where no kernel module does, as on
 * the embedded host. See docs of the contract, "xenstore: host ↔ guest", and
 * `NumaKeys` for the states and codes.
 *
 * A request goes `accepted → [evacuating →] resizing → settling → done`. If it
 * fails, if its time is over or if it is cancelled, the guest goes back to what
 * it was, and only then says so; `done` is said only when every vnode's memory is
 * within 2 MiB (`NumaKeys.toleranceBytes`) of its target.
 *
 * An agent that is killed leaves everything in the store: its successor goes on
 * with the request, with all of the request's time, or takes it back, as the host's
 * keys then say.
 *
 * @since 0.1.0
 */
import { NumaKeys } from "@virtflex/topo-model";
import { Duration, Effect, Result, Stream, SubscriptionRef } from "effect";
import { AgentError } from "./AgentError.ts";
import { AgentFault } from "./AgentFault.ts";
import * as GuestState from "./internal/GuestState.ts";
import { type HostNode, readHostKeys } from "./internal/HostKeys.ts";
import * as Journal from "./internal/Journal.ts";
import * as Store from "./internal/Store.ts";
import { stopped } from "./internal/Store.ts";
import { type Goal, transition } from "./internal/Transition.ts";
import type { PageError } from "./PageError.ts";
import { RuntimeRegistry } from "./RuntimeRegistry.ts";
import { Vcpus } from "./Vcpus.ts";

const { path } = NumaKeys;

/** @since 0.1.0 */
export interface AgentOptions {
  /**
   * The SLIT that the guest was built with, a row and a column for each vnode in
   * order; without it every other node is at distance 20.
   */
  readonly distances?: ReadonlyArray<ReadonlyArray<number>>;
}

/** Runtimes have at most this, and at most half of the request's time, for each adaptation. */
const graceMs = 5000;
/** And this on the way back, which the host is waiting for. */
const restoreGraceMs = 500;

const desiredGoal = (host: ReadonlyArray<HostNode>): Goal =>
  new Map(
    host.map(({ vnode, desired, targetBytes }) => [vnode, { state: desired, bytes: targetBytes }]),
  );

const formerGoal = ({ before }: Journal.Journal): Goal =>
  new Map(
    [...before].map(([vnode, { state, actualBytes }]) => [
      vnode,
      { state: state === "offline" ? "offline" : "online", bytes: actualBytes },
    ]),
  );

/** The id of a request that is otherwise not of its grammar. */
const idOf = (text: string): number => {
  const id = Number(/^([1-9][0-9]{0,15}) /.exec(text)?.[1] ?? 0);
  return Number.isSafeInteger(id) ? id : 0;
};

const pageStopped = Effect.mapError((error: AgentError | PageError) =>
  error._tag === "PageError" ? stopped(error) : error,
);

/** Serves requests, one after another. */
const serve = Effect.fnUntraced(function* (store: Store.Store, guest: GuestState.GuestState) {
  const fault = yield* AgentFault;
  /** Set by the fault of stopping half-way: from then on nothing is heard. */
  let deaf = false;
  /** The last request that came to its end. */
  let finished = 0;
  /** The one that has not, and what was before it. */
  let pending: Journal.Journal | undefined;

  const recover = Effect.gen(function* () {
    const state = NumaKeys.parseState((yield* store.read(path.state)) ?? "");
    if (Result.isSuccess(state)) {
      const { id } = state.success;
      finished = NumaKeys.isFinal(state.success) ? id : id - 1;
    }
    const text = yield* store.read(Journal.journalPath);
    const journal = Journal.parse(text ?? "");
    if (journal !== undefined && journal.id > finished) pending = journal;
    else if (text !== undefined) yield* store.remove(Journal.journalPath);
    yield* guest.readVcpus;
    yield* readHostKeys(store).pipe(
      Effect.flatMap(guest.learn),
      // A guest without vnodes that it understands publishes nothing, until a request has some.
      Effect.catchTag("RequestFailed", ({ message }) => Effect.logWarning(message)),
    );
    yield* pageStopped(guest.publish);
  });

  /** The last word on a request. */
  const end = Effect.fnUntraced(function* (status: NumaKeys.RequestStatus) {
    yield* guest.writeNodes;
    yield* store.write(path.state, NumaKeys.printState(status));
    finished = Math.max(finished, status.id);
    pending = undefined;
    yield* store.remove(Journal.journalPath);
  });

  /** Goes back to what was before the pending request, if there is one, then says so. */
  const takeBack = Effect.fn("Agent.takeBack")(function* (status: NumaKeys.RequestStatus) {
    const restored =
      pending === undefined
        ? true
        : yield* transition(guest, formerGoal(pending), restoreGraceMs, () => Effect.void).pipe(
            Effect.as(true),
            Effect.catchTag("RequestFailed", ({ message }) =>
              Effect.as(Effect.logWarning(message), false),
            ),
          );
    yield* end(restored ? status : { id: status.id, state: "failed", code: "restore" });
  });

  const perform = Effect.fn("Agent.perform")(function* ({ id, deadlineMs }: NumaKeys.Request) {
    const tell = Effect.fnUntraced(function* (state: NumaKeys.ProgressState) {
      yield* store.write(path.state, NumaKeys.printState({ id, state }));
      if (fault.kind === "stops" && fault.state === state) {
        deaf = true;
        yield* Effect.never;
      }
    });
    const [host] = yield* Effect.all([readHostKeys(store), guest.readVcpus], {
      concurrency: "unbounded",
    });
    yield* guest.learn(host);
    if (pending === undefined) {
      pending = { id, before: guest.statuses };
      yield* store.write(Journal.journalPath, Journal.print(pending));
    }
    yield* tell("accepted");
    yield* transition(guest, desiredGoal(host), Math.min(graceMs, deadlineMs / 2), tell);
  });

  /** What the host asks for now; it may change while it is being done. */
  const asked = yield* SubscriptionRef.make(yield* store.read(path.request));
  const follow = store.watch(path.request).pipe(
    Stream.mapEffect(() => store.read(path.request)),
    Stream.runForEach((text) => SubscriptionRef.set(asked, text)),
  );

  const handle = Effect.fn("Agent.handle")(function* (text: string | undefined) {
    const parsed = NumaKeys.parseRequest(text ?? "");
    const request = Result.getOrUndefined(parsed);
    if (pending !== undefined && pending.id !== request?.id) {
      yield* takeBack({ id: pending.id, state: "failed", code: "superseded" });
    }
    if (text === undefined) return;
    if (Result.isFailure(parsed)) {
      yield* Effect.logWarning(parsed.failure.message);
      const id = idOf(text);
      if (id === 0 || id > finished) yield* end({ id, state: "failed", code: "bad-request" });
      return;
    }
    const { id, op, deadlineMs } = parsed.success;
    if (id <= finished) return;
    if (op === "cancel") return yield* takeBack({ id, state: "cancelled" });

    const hearing = Effect.suspend(() => (deaf ? Effect.never : Effect.void));
    const changed = SubscriptionRef.changes(asked).pipe(
      Stream.filter((now) => now !== text),
      Stream.runHead,
      Effect.andThen(hearing),
      Effect.as("changed" as const),
    );
    const late = Effect.sleep(Duration.millis(deadlineMs)).pipe(
      Effect.andThen(hearing),
      Effect.as("deadline" as const),
    );
    const outcome = yield* perform(parsed.success).pipe(
      Effect.as("done" as const),
      Effect.catchTag("RequestFailed", ({ reason, message }) =>
        Effect.as(Effect.logWarning(message), reason),
      ),
      Effect.catchDefect((defect) => Effect.as(Effect.logError(defect), "internal" as const)),
      (work) => Effect.raceAllFirst([work, changed, late]),
    );
    if (outcome === "done") return yield* end({ id, state: "done" });
    // What it changed to says what becomes of this one.
    if (outcome !== "changed") yield* takeBack({ id, state: "failed", code: outcome });
  });

  yield* recover;
  yield* store.write(path.feature, NumaKeys.contractVersion);
  if (fault.kind === "silent") yield* Effect.never;
  const handleAll = Stream.runForEach(Stream.changes(SubscriptionRef.changes(asked)), handle);
  yield* Effect.raceAllFirst([follow, handleAll]);
});

/**
 * Serves the guest of the store until it is interrupted. What was begun then
 * stays begun: the next agent goes on with it.
 *
 * @since 0.1.0
 */
export const run = Effect.fn("Agent.run")(function* (options: AgentOptions = {}) {
  const registry = yield* RuntimeRegistry;
  const vcpus = yield* Vcpus;
  const store = yield* Store.make;
  const guest = yield* GuestState.make(store, options.distances);

  const followVcpus = vcpus.changes.pipe(
    Stream.mapError(stopped),
    Stream.mapEffect(() => Effect.andThen(guest.readVcpus, guest.publish)),
    Stream.runDrain,
  );
  const followRuntimes = registry.changes.pipe(
    Stream.mapEffect(() => guest.writeRuntimes),
    Stream.runDrain,
  );
  yield* Effect.raceAllFirst([
    serve(store, guest),
    pageStopped(followVcpus),
    pageStopped(followRuntimes),
  ]);
  // The streams of events end with their sources only.
  return yield* new AgentError({ reason: "ENDED", detail: "its store no longer tells of changes" });
});
