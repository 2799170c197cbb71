/**
 * Why there is no plan: what is missing, and where.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";
import { Bytes, PnodeId } from "./Ids.ts";

/** Stable reasons of a refusal. @since 0.1.0 */
export const RefusalCode = Schema.Literals([
  /** No change, or one that names no vnode. */
  "NOTHING_TO_DO",
  "UNKNOWN_DOMAIN",
  "UNKNOWN_VNODE",
  "UNKNOWN_PNODE",
  /** A vnode is named by two changes, or twice by one. */
  "NAMED_TWICE",
  /** Shrinking away every vnode that is online. */
  "LAST_VNODE",
  /** Shrinking away the vnode with vCPU 0. */
  "HOME_VNODE",
  "ALREADY_ONLINE",
  "ALREADY_OFFLINE",
  /** Resizing a vnode that is offline. */
  "NOT_ONLINE",
  "ALREADY_AT_TARGET",
  "ALREADY_ON_PNODE",
  "ABOVE_CAPACITY",
  "BELOW_LOW_TARGET",
  /** A target that is neither whole superpages nor the capacity. */
  "NOT_SUPERPAGES",
  /** A vnode with vCPUs to a pnode without pcpus. */
  "NO_PCPUS",
  /** A pnode lacks memory in every order and, where that is allowed, on every pnode. */
  "NO_MEMORY",
  /** Each vnode fits where it shall go, but none can go first. */
  "NO_ORDER",
  /** The search for other pnodes or for an order ended at its bound. */
  "SEARCH_BOUND",
]);
export type RefusalCode = typeof RefusalCode.Type;

/** A pnode that lacks memory. @since 0.1.0 */
export const Shortage = Schema.Struct({
  pnode: PnodeId,
  /** What the changes need there at once. */
  neededBytes: Bytes,
  /** What is free there, with what the changes themselves free. */
  freeBytes: Bytes,
});
export type Shortage = typeof Shortage.Type;

/** A change that can't be done. Nothing was. @since 0.1.0 */
export class PlanRefused extends Schema.TaggedError<PlanRefused>()("PlanRefused", {
  code: RefusalCode,
  /** Which part of the request, such as `changes[0].vnodes[1]`. */
  field: Schema.String,
  detail: Schema.String,
  /** The pnodes that lack memory: for `NO_MEMORY` at least one. */
  shortages: Schema.Array(Shortage),
}) {
  override get message(): string {
    return `${this.field}: ${this.detail}`;
  }
}
