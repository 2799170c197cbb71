/**
 * What `apply` tells while it works: one stream of facts for progress bars,
 * logs and machines alike.
 *
 * @since 0.1.0
 */
import { Bytes, NumaKeys, Step, VnodeId } from "@virtflex/topo-model";
import { Schema } from "effect";

/** `apply` goes forward through the plan, `undo` back after a failure. @since 0.1.0 */
export const Direction = Schema.Literals(["apply", "undo"]);
export type Direction = typeof Direction.Type;

const ofStep = {
  direction: Direction,
  /** Which step of the plan, from 0. */
  index: Schema.Int,
  /** Steps of the plan. */
  total: Schema.Int,
};

/** A step begins; its `from` and `to` are exchanged when it is undone. @since 0.1.0 */
export const StepStarted = Schema.TaggedStruct("StepStarted", { ...ofStep, step: Step });

/** What the guest says of a request that runs. @since 0.1.0 */
export const StepProgress = Schema.TaggedStruct("StepProgress", {
  ...ofStep,
  request: Schema.Int,
  state: Schema.Union([NumaKeys.ProgressState, Schema.Literals(["done", "failed", "cancelled"])]),
  /** Absent values were not written yet, or are not of their grammar. */
  vnodes: Schema.Array(
    Schema.Struct({
      vnode: VnodeId,
      targetBytes: Bytes,
      actualBytes: Schema.optionalKey(Bytes),
      state: Schema.optionalKey(NumaKeys.NodeState),
    }),
  ),
  /** Processes with an adapting runtime, and how many acknowledged the generation. */
  runtimes: Schema.optionalKey(Schema.Struct({ adapted: Schema.Int, known: Schema.Int })),
  generation: Schema.optionalKey(Schema.BigInt),
});
export type StepProgress = typeof StepProgress.Type;

/** @since 0.1.0 */
export const StepDone = Schema.TaggedStruct("StepDone", { ...ofStep, elapsedMs: Schema.Finite });

/** @since 0.1.0 */
export const StepFailed = Schema.TaggedStruct("StepFailed", {
  ...ofStep,
  elapsedMs: Schema.Finite,
  code: Schema.String,
  message: Schema.String,
});

/** @since 0.1.0 */
export const Progress = Schema.Union([StepStarted, StepProgress, StepDone, StepFailed]);
export type Progress = typeof Progress.Type;
