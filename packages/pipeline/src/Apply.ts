/**
 * Applies a plan: step by step, telling what happens, within a deadline; on any
 * failure, and on interruption, the inverses run backwards.
 *
 * @since 0.1.0
 */
import type { Plan } from "@virtflex/topo-model";
import { Cause, Clock, Duration, Effect, Exit, Queue, Stream } from "effect";
import {
  ChangeFailed,
  DeadlinePassed,
  GuestUnaware,
  LeftBehind,
  type StepError,
} from "./ChangeError.ts";
import { perform } from "./Interpreter.ts";
import * as Journal from "./Journal.ts";
import type { Progress } from "./Progress.ts";
import { type OnProgress, reported } from "./Reporter.ts";
import { rollBack } from "./Rollback.ts";
import { checkCurrent } from "./Stale.ts";
import { isAware } from "./StoreKeys.ts";

/** @since 0.1.0 */
export interface ApplyOptions {
  /** For the whole of the change, and again for each inverse that a guest must answer. */
  readonly deadline: Duration.Input;
  /** How long a guest has to answer a cancellation; 5 seconds unless given. */
  readonly grace?: Duration.Input;
}

const limitsOf = ({ deadline, grace = "5 seconds" }: ApplyOptions) => ({
  deadlineMs: Duration.toMillis(deadline),
  graceMs: Duration.toMillis(grace),
});

/** Opens the journal of a plan that was made while nothing was left behind. */
const openJournal = Effect.fnUntraced(function* (plan: Plan) {
  const domains = [...new Set(plan.steps.map(({ domain }) => domain))];
  const found = yield* Journal.open(domains, plan.steps);
  if (found.opened === undefined) return yield* new LeftBehind({ domains, path: found.stale });
  return found.opened;
});

/**
 * Applies a plan and waits until the guest, too, says that it is done.
 *
 * Only one change at a time can hold a domain: `ChangeInProgress` otherwise, and
 * `LeftBehind` where a dead controller's is to be undone (see `prepare`) before
 * anything can be planned; `PlanStale` where another change came since the plan was made. `ChangeFailed` says which step failed, why, and what
 * became of the steps that had been begun. Interruption waits for the rollback.
 *
 * @since 0.1.0
 */
export const apply = Effect.fn("apply")(function* (
  plan: Plan,
  options: ApplyOptions & { readonly onProgress: OnProgress },
) {
  const { onProgress } = options;
  const limits = limitsOf(options);
  const { deadlineMs } = limits;
  const { steps } = plan;
  if (steps.length === 0) return;
  for (const { domain } of steps.filter(({ _tag }) => _tag === "request")) {
    if (!(yield* isAware(domain))) return yield* new GuestUnaware({ domain });
  }

  yield* Effect.uninterruptibleMask(
    Effect.fnUntraced(function* (restore) {
      const path = yield* openJournal(plan);
      yield* checkCurrent(steps).pipe(Effect.onError(() => Effect.ignore(Journal.close(path))));
      const endsAt = (yield* Clock.currentTimeMillis) + deadlineMs;
      let begun = 0;

      const forward = Effect.forEach(
        steps,
        Effect.fnUntraced(function* (step, index) {
          begun = index + 1;
          yield* Journal.begin(path, begun);
          const leftMs = endsAt - (yield* Clock.currentTimeMillis);
          const ofStep = { direction: "apply", index, total: steps.length } as const;
          yield* reported(ofStep, step, onProgress, (onStatus) =>
            perform(step, leftMs, onStatus).pipe(
              Effect.timeoutOrElse({
                duration: Duration.millis(leftMs),
                orElse: () => new DeadlinePassed({ deadlineMs }),
              }),
            ),
          );
        }),
        { discard: true },
      );

      const exit = yield* restore(forward).pipe(Effect.andThen(Journal.close(path)), Effect.exit);
      if (Exit.isSuccess(exit)) return;

      const rollback = yield* rollBack({ path, steps, begun, back: [] }, limits, onProgress);
      return yield* Effect.failCause(
        Cause.map(
          exit.cause,
          (error: StepError) =>
            new ChangeFailed({ index: Math.max(0, begun - 1), error, rollback }),
        ),
      );
    }),
  );
});

/**
 * The same as a stream of what happens. Ending it early interrupts the change,
 * and waits until it is rolled back.
 *
 * @since 0.1.0
 */
export const applyStream = (plan: Plan, options: ApplyOptions) =>
  Stream.callback<
    Progress,
    Effect.Error<ReturnType<typeof apply>>,
    Effect.Services<ReturnType<typeof apply>>
  >(
    (queue) =>
      apply(plan, {
        ...options,
        onProgress: (progress) => Effect.asVoid(Queue.offer(queue, progress)),
      }).pipe(
        Effect.onExit((exit) =>
          Exit.isSuccess(exit) ? Queue.end(queue) : Queue.failCause(queue, exit.cause),
        ),
      ),
    { bufferSize: Number.POSITIVE_INFINITY },
  );
