/** The one way in which every layer runs transactions. */
import { Effect, Schedule, Schema } from "effect";
import {
  XenStoreError,
  type XenStore,
  type XenStoreFailure,
  type XenStoreOps,
} from "../XenStore.ts";

/** A transaction that has begun. */
export interface OpenTransaction extends XenStoreOps {
  readonly commit: Effect.Effect<void, XenStoreFailure>;
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

export const transactionWith =
  (begin: Effect.Effect<OpenTransaction, XenStoreFailure>): XenStore["Service"]["transaction"] =>
  <A, E, R>(
    body: (transaction: XenStoreOps) => Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E | XenStoreFailure, R> =>
    Effect.acquireUseRelease(
      begin,
      (transaction) =>
        Effect.tap(body(transaction), () =>
          Effect.catchIf(transaction.commit, isEagain, () => Effect.fail(new Conflict())),
        ),
      // Ending a transaction that has ended already does nothing.
      (transaction) => transaction.abort,
    ).pipe(
      Effect.retry({ schedule: retries, while: (error) => error instanceof Conflict }),
      Effect.catchIf(
        (error) => error instanceof Conflict,
        () =>
          Effect.fail(new XenStoreError({ errno: "EAGAIN", operation: "transaction", path: "/" })),
      ),
    );
