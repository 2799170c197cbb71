/**
 * The way back: the inverses of the steps that were begun, last first. One
 * that fails is noted, and the rest still run.
 */
import { inverse } from "@virtflex/topo-model";
import { Effect } from "effect";
import type { Rollback, StepError } from "./ChangeError.ts";
import { undo } from "./Interpreter.ts";
import * as Journal from "./Journal.ts";
import { type OnProgress, reported } from "./Reporter.ts";

/** @since 0.1.0 */
export interface UndoLimits {
  /** How long a guest has to answer a cancellation, in milliseconds. */
  readonly graceMs: number;
  /** How long a guest has to answer the inverse of a request, in milliseconds. */
  readonly deadlineMs: number;
}

/** Whether the host's own side failed, so that trying again later may help. */
const isHostSide = (error: StepError) =>
  error._tag === "XenStoreError" ||
  error._tag === "HypervisorError" ||
  error._tag === "XenUnavailable";

/**
 * Undoes the first `begun` of the steps, the last of which may not be complete.
 * The journal goes unless the host's own side failed: then `recover` can try
 * again. What a guest refuses stays refused, and is reported.
 */
export const rollBack = Effect.fn("Rollback.rollBack")(function* (
  journal: Pick<Journal.Journal, "path" | "steps" | "begun" | "back">,
  limits: UndoLimits,
  onProgress: OnProgress,
) {
  const { path, steps, begun, back: asked } = journal;
  const undone: Array<number> = [];
  const left: Array<Rollback["left"][number]> = [];
  for (const [index, step] of [...steps.slice(0, begun).entries()].toReversed()) {
    const completed = index < begun - 1 || asked.includes(index);
    const options = { ...limits, completed, goBack: Journal.goBack(path, index) };
    const ofStep = { direction: "undo", index, total: steps.length } as const;
    const back = inverse(step);
    yield* reported(ofStep, back, onProgress, (onStatus) => undo(back, options, onStatus)).pipe(
      Effect.match({
        onSuccess: () => undone.push(index),
        onFailure: (error) => left.push({ index, error }),
      }),
    );
  }
  const settled = left.some(({ error }) => isHostSide(error))
    ? Journal.abandon(path)
    : Journal.close(path);
  // A journal that stays is undone once more by whoever finds it, to the same end.
  yield* Effect.ignore(settled);
  return { undone, left } satisfies Rollback;
}, Effect.uninterruptible);
