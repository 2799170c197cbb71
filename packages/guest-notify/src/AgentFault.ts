/**
 * Faults that a guest agent can be asked for, so that tests and demonstrations
 * see what a host does with a guest that misbehaves.
 *
 * @since 0.1.0
 */
import type { NumaKeys } from "@virtflex/topo-model";
import { Context } from "effect";

/**
 * `silent`: no request is taken up. `stops`: on reaching the state the guest goes
 * no further, and does not hear that it is cancelled or that its time is over.
 *
 * @since 0.1.0
 */
export type Fault =
  | { readonly kind: "none" }
  | { readonly kind: "silent" }
  | { readonly kind: "stops"; readonly state: NumaKeys.ProgressState };

/** @since 0.1.0 */
export const AgentFault = Context.Reference<Fault>("@virtflex/guest-notify/AgentFault", {
  defaultValue: () => ({ kind: "none" }),
});
