/**
 * What will be done, in order, and what it is estimated to cost.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";
import { Bytes } from "./Ids.ts";
import { Step } from "./Step.ts";
import { TopologyChange } from "./TopologyChange.ts";

/** Bytes to move, 4 KiB and 2 MiB pages, seconds by the model of `Cost.ts`. @since 0.1.0 */
export const Cost = Schema.Struct({
  bytes: Bytes,
  smallPages: Schema.Int,
  superpages: Schema.Int,
  seconds: Schema.Finite,
});
export type Cost = typeof Cost.Type;

/** @since 0.1.0 */
export const Plan = Schema.Struct({
  changes: Schema.Array(TopologyChange),
  steps: Schema.Array(Step),
  cost: Cost,
});
export type Plan = typeof Plan.Type;
