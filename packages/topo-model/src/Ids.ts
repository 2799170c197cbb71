/**
 * Branded numbers, so that a vnode id does not fit where a pnode id is asked for.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";

const id = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff }));

/** A physical NUMA node of the host, as Xen numbers them. @since 0.1.0 */
export const PnodeId = id.pipe(Schema.brand("PnodeId"));
export type PnodeId = typeof PnodeId.Type;

/** A physical CPU of the host (a hardware thread). @since 0.1.0 */
export const PcpuId = id.pipe(Schema.brand("PcpuId"));
export type PcpuId = typeof PcpuId.Type;

/** A virtual NUMA node of a guest. @since 0.1.0 */
export const VnodeId = id.pipe(Schema.brand("VnodeId"));
export type VnodeId = typeof VnodeId.Type;

/** A virtual CPU of a guest. @since 0.1.0 */
export const VcpuId = id.pipe(Schema.brand("VcpuId"));
export type VcpuId = typeof VcpuId.Type;

/** A Xen domain. 0x7ff0 and above are reserved (xen/include/public/xen.h). @since 0.1.0 */
export const DomainId = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x7fef })).pipe(
  Schema.brand("DomainId"),
);
export type DomainId = typeof DomainId.Type;

/**
 * Memory in bytes: a whole number below 2^53, which no host's memory passes.
 *
 * @since 0.1.0
 */
export const Bytes = Schema.Int.check(
  Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
);
export type Bytes = typeof Bytes.Type;
