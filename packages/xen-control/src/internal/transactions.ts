/** The one way in which every layer runs transactions. */
import { Effect, Schedule, Schema } from "effect";
import {
  XenStoreError,
  type XenStore,
  type XenStoreFailure,
  type XenStoreOps,
} from "../XenStore.ts";

/** One transaction, before it begins. */
export interface TransactionHandle extends XenStoreOps {
  readonly begin: Effect.Effect<void, XenStoreFailure>;
  readonly commit: Effect.Effect<void, XenStoreFailure>;
  /** Does nothing to one that never began or has ended; waits for nobody. */
  readonly abort: Effect.Effect<void>;
}

/** The commit answered EAGAIN: another client changed what this one saw. */
class Conflict extends Schema.TaggedError<Conflict>()("Conflict", {}) {}

/** At most 12 attempts within about a second, spread so that rivals part. */
const retries = Schedule.exponential("1 millis", 1.8).pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 11 }),
);

const isEagain = (error: unknown): boolean =>
  error instanceof XenStoreError && error.errno === "EAGAIN";

/** `handle` makes a new one at each run. */
export const transactionWith =
  (handle: Effect.Effect<TransactionHandle>): XenStore["Service"]["transaction"] =>
  <A, E, R>(
    body: (transaction: XenStoreOps) => Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E | XenStoreFailure, R> =>
    Effect.flatMap(handle, (transaction) =>
      transaction.begin.pipe(
        Effect.andThen(body(transaction)),
        Effect.tap(() =>
          Effect.catchIf(transaction.commit, isEagain, () => Effect.fail(new Conflict())),
        ),
        Effect.ensuring(transaction.abort),
      ),
    ).pipe(
      Effect.retry({ schedule: retries, while: (error) => error instanceof Conflict }),
      Effect.catchIf(
        (error) => error instanceof Conflict,
        () =>
          Effect.fail(new XenStoreError({ errno: "EAGAIN", operation: "transaction", path: "/" })),
      ),
    );
