/**
 * What an operator asks for.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";
import { Bytes, DomainId, PnodeId, VnodeId } from "./Ids.ts";

/** Put vnodes that are offline to use, each with its full capacity. @since 0.1.0 */
export const Expand = Schema.TaggedStruct("expand", {
  domain: DomainId,
  vnodes: Schema.Array(VnodeId),
});
export type Expand = typeof Expand.Type;

/** Take vnodes out of use; each keeps only its low target. @since 0.1.0 */
export const Shrink = Schema.TaggedStruct("shrink", {
  domain: DomainId,
  vnodes: Schema.Array(VnodeId),
});
export type Shrink = typeof Shrink.Type;

/** Give an online vnode another memory target. @since 0.1.0 */
export const Resize = Schema.TaggedStruct("resize", {
  domain: DomainId,
  vnode: VnodeId,
  targetBytes: Bytes,
});
export type Resize = typeof Resize.Type;

/** Move a vnode, its memory and its vCPUs, to another pnode. @since 0.1.0 */
export const Rehome = Schema.TaggedStruct("rehome", {
  domain: DomainId,
  vnode: VnodeId,
  pnode: PnodeId,
});
export type Rehome = typeof Rehome.Type;

/** @since 0.1.0 */
export const TopologyChange = Schema.Union([Expand, Shrink, Resize, Rehome]);
export type TopologyChange = typeof TopologyChange.Type;
