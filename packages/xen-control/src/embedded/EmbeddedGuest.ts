/**
 * What the kernel of a guest on an embedded host can do: its xenstore, with its
 * own credentials and no other's, its vCPUs, and its balloon, a vnode at a time.
 *
 * While the domain is paused each of these waits, as a paused guest does.
 *
 * @since 0.1.0
 */
import { Bytes, type DomainId, type VcpuId, type VnodeId } from "@virtflex/topo-model";
import { Context, type Effect, Schema } from "effect";
import type { HypervisorFailure } from "../Hypervisor.ts";
import type { XenStore } from "../XenStore.ts";

/** What a balloon operation did, superpages first: `bytes` in 2 MiB and 4 KiB pages. @since 0.1.0 */
export const Ballooned = Schema.Struct({
  bytes: Bytes,
  superpages: Schema.Int,
  smallPages: Schema.Int,
});
export type Ballooned = typeof Ballooned.Type;

/** @since 0.1.0 */
export class EmbeddedGuest extends Context.Service<
  EmbeddedGuest,
  {
    readonly domain: DomainId;
    /** Paths may be relative to the domain's own directory, as in `numa/request`. */
    readonly store: XenStore["Service"];
    /** The vCPUs that the guest runs on now. */
    readonly onlineVcpus: Effect.Effect<ReadonlyArray<VcpuId>, HypervisorFailure>;
    /** Bytes that the vnode holds. */
    readonly heldBytes: (vnode: VnodeId) => Effect.Effect<number, HypervisorFailure>;
    /**
     * Balloons in: asks for `bytes` on exactly the vnode's pnode, whole pages.
     * Gives less, even nothing, when the pnode, the domain's limit or the
     * vnode's capacity has no more.
     */
    readonly populate: (
      vnode: VnodeId,
      bytes: number,
    ) => Effect.Effect<Ballooned, HypervisorFailure>;
    /** Balloons out: gives back `bytes` of the vnode, or the less that it holds. */
    readonly decrease: (
      vnode: VnodeId,
      bytes: number,
    ) => Effect.Effect<Ballooned, HypervisorFailure>;
  }
>()("@virtflex/xen-control/EmbeddedGuest") {}
