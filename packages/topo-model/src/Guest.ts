/**
 * A guest: virtual nodes with what each may have, should have and has.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";
import { Distances } from "./Host.ts";
import { Bytes, DomainId, PcpuId, PnodeId, VcpuId, VnodeId } from "./Ids.ts";

/** What the host wants of a vnode (`numa/node/<v>/desired`). @since 0.1.0 */
export const Desired = Schema.Literals(["online", "offline"]);
export type Desired = typeof Desired.Type;

/** @since 0.1.0 */
export const Vnode = Schema.Struct({
  id: VnodeId,
  /** The physical node that backs it. */
  pnode: PnodeId,
  /** The vCPUs that belong to it, online or not. */
  vcpus: Schema.Array(VcpuId),
  /** The most memory that it can have. */
  capacityBytes: Bytes,
  /** The memory that it should have. Owner: the host. */
  targetBytes: Bytes,
  /** The memory that it has. Owner: the guest. */
  actualBytes: Bytes,
  desired: Desired,
});
export type Vnode = typeof Vnode.Type;

/** @since 0.1.0 */
export const Vcpu = Schema.Struct({
  id: VcpuId,
  /** Whether the guest may use it (`cpu/<n>/availability`). */
  online: Schema.Boolean,
  /** The pcpus that it may run on (hard affinity). */
  affinity: Schema.Array(PcpuId),
});
export type Vcpu = typeof Vcpu.Type;

/** @since 0.1.0 */
export const Guest = Schema.Struct({
  domain: DomainId,
  name: Schema.String,
  vnodes: Schema.Array(Vnode),
  vcpus: Schema.Array(Vcpu),
  distances: Distances,
  /** The most memory that the domain may hold (maxmem). */
  limitBytes: Bytes,
  /** What the domain should hold in all (`memory/target`); absent where nobody says. */
  targetBytes: Schema.optionalKey(Bytes),
});
export type Guest = typeof Guest.Type;
