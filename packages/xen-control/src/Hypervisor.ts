/**
 * The contract of the hypervisor: what the toolstack asks of Xen itself.
 * Layers: `embedded` and `live`.
 *
 * @since 0.1.0
 */
import {
  Bytes,
  Distances,
  DomainId,
  type Host,
  PcpuId,
  PnodeId,
  Vcpu,
  VcpuId,
  VnodeId,
} from "@virtflex/topo-model";
import { Context, type Effect, Schema } from "effect";
import type { XenUnavailable } from "./XenStore.ts";

/** Stable reasons why the hypervisor refuses. @since 0.1.0 */
export const HypervisorReason = Schema.Literals([
  "NoSuchDomain",
  "NoSuchVcpu",
  "NoSuchNode",
  "NoMemory",
  "Unsupported",
  "Busy",
  "Refused",
]);
export type HypervisorReason = typeof HypervisorReason.Type;

/** An operation that the hypervisor refused. @since 0.1.0 */
export class HypervisorError extends Schema.TaggedError<HypervisorError>()("HypervisorError", {
  reason: HypervisorReason,
  operation: Schema.String,
  detail: Schema.String,
}) {
  /** A stable code for machines. */
  get code(): string {
    return `HYPERVISOR_${this.reason.replace(/(?<!^)([A-Z])/g, "_$1").toUpperCase()}`;
  }
  override get message(): string {
    return `${this.operation}: ${this.detail}`;
  }
}

/** What every call may fail with. @since 0.1.0 */
export type HypervisorFailure = HypervisorError | XenUnavailable;

/** A domain as the hypervisor sees it; memory in bytes. @since 0.1.0 */
export const DomainInfo = Schema.Struct({
  domain: DomainId,
  name: Schema.String,
  state: Schema.Literals(["running", "paused", "dying"]),
  /** What it holds now. */
  memoryBytes: Bytes,
  /** The most that it may hold. */
  limitBytes: Bytes,
  /** What the toolstack wants it to hold (`memory/target`); what it holds where there is no such key. */
  targetBytes: Bytes,
  vcpus: Schema.Array(Vcpu),
  /** The pcpus that each of the vCPUs runs on for choice (soft affinity). */
  softAffinity: Schema.Array(Schema.Struct({ vcpu: VcpuId, pcpus: Schema.Array(PcpuId) })),
  /** Virtual NUMA as built; empty for a domain without it. */
  vnuma: Schema.Array(
    Schema.Struct({
      id: VnodeId,
      pnode: PnodeId,
      capacityBytes: Bytes,
      vcpus: Schema.Array(VcpuId),
    }),
  ),
  distances: Distances,
  /** Bytes held on each pnode; empty where the hypervisor can't tell. */
  residentBytes: Schema.Array(Schema.Struct({ pnode: PnodeId, bytes: Bytes })),
});
export type DomainInfo = typeof DomainInfo.Type;

/** What moving a vnode's memory did. @since 0.1.0 */
export const Moved = Schema.Struct({ movedBytes: Bytes, skippedPages: Schema.Int });
export type Moved = typeof Moved.Type;

/** @since 0.1.0 */
export class Hypervisor extends Context.Service<
  Hypervisor,
  {
    /** Nodes, CPUs, free memory (reservations taken off) and distances. */
    readonly host: Effect.Effect<Host, HypervisorFailure>;
    readonly domains: Effect.Effect<ReadonlyArray<DomainInfo>, HypervisorFailure>;
    readonly domain: (domain: DomainId) => Effect.Effect<DomainInfo, HypervisorFailure>;
    /** Sets `cpu/<n>/availability`, as libxl_set_vcpuonline does. Idempotent. */
    readonly setVcpusOnline: (
      domain: DomainId,
      vcpus: ReadonlyArray<VcpuId>,
      online: boolean,
    ) => Effect.Effect<void, HypervisorFailure>;
    /** Hard affinity of each of the vCPUs. Idempotent. */
    readonly pinVcpus: (
      domain: DomainId,
      vcpus: ReadonlyArray<VcpuId>,
      pcpus: ReadonlyArray<PcpuId>,
    ) => Effect.Effect<void, HypervisorFailure>;
    /** The most memory that the domain may hold. Idempotent. */
    readonly setLimit: (domain: DomainId, bytes: number) => Effect.Effect<void, HypervisorFailure>;
    /**
     * Sets the reservation that the domain has on a pnode to exactly `bytes`:
     * memory that nobody else may take and that the domain's own balloon-in
     * there consumes. `NoMemory` when the pnode has not as much free. Idempotent.
     */
    readonly reserve: (
      domain: DomainId,
      pnode: PnodeId,
      bytes: number,
    ) => Effect.Effect<void, HypervisorFailure>;
    /**
     * Moves the memory of a vnode to another pnode while the guest runs, and
     * makes later balloon-ins of the vnode land there. `Unsupported` where the
     * hypervisor can't; nothing has changed then.
     */
    readonly moveVnode: (
      domain: DomainId,
      vnode: VnodeId,
      pnode: PnodeId,
    ) => Effect.Effect<Moved, HypervisorFailure>;
  }
>()("@virtflex/xen-control/Hypervisor") {}
