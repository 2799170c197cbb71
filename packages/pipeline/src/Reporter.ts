/**
 * Tells of a step while it runs.
 */
import type { Step } from "@virtflex/topo-model";
import { Cause, Clock, Effect, Exit, Option } from "effect";
import type { StepError } from "./ChangeError.ts";
import {
  type Direction,
  type Progress,
  StepDone,
  StepFailed,
  StepProgress,
  StepStarted,
} from "./Progress.ts";
import type { OnStatus } from "./Request.ts";

/** Called for each fact in its order; the change waits for it. @since 0.1.0 */
export type OnProgress = (progress: Progress) => Effect.Effect<void>;

const reason = (
  cause: Cause.Cause<StepError>,
): { readonly code: string; readonly message: string } => {
  if (Cause.hasInterruptsOnly(cause)) return { code: "INTERRUPTED", message: "Interrupted" };
  const error = Cause.findErrorOption(cause);
  if (Option.isNone(error)) return { code: "DEFECT", message: Cause.pretty(cause) };
  const { code, message } = error.value;
  return { code, message };
};

export const reported = Effect.fnUntraced(function* <R>(
  ofStep: { readonly direction: Direction; readonly index: number; readonly total: number },
  step: Step,
  onProgress: OnProgress,
  run: (onStatus: OnStatus) => Effect.Effect<void, StepError, R>,
) {
  const began = yield* Clock.currentTimeMillis;
  yield* onProgress(StepStarted.make({ ...ofStep, step }));

  const targets = step._tag === "request" ? step.vnodes : [];
  const onStatus: OnStatus = (request, { status, nodes, runtimes, generation }) =>
    status === undefined
      ? Effect.void
      : onProgress(
          StepProgress.make({
            ...ofStep,
            request,
            state: status.state,
            vnodes: targets.map(({ vnode, targetBytes }) => ({
              vnode,
              targetBytes: targetBytes.to,
              ...nodes.get(vnode),
            })),
            ...(runtimes === undefined ? {} : { runtimes }),
            ...(generation === undefined ? {} : { generation }),
          }),
        );

  yield* run(onStatus).pipe(
    Effect.onExit(
      Effect.fnUntraced(function* (exit) {
        const elapsedMs = (yield* Clock.currentTimeMillis) - began;
        yield* onProgress(
          Exit.isSuccess(exit)
            ? StepDone.make({ ...ofStep, elapsedMs })
            : StepFailed.make({ ...ofStep, elapsedMs, ...reason(exit.cause) }),
        );
      }),
    ),
  );
});
