/**
 * The balloon of each vnode. A port: the guest's kernel, or an embedded host.
 *
 * @since 0.1.0
 */
import type { VnodeId } from "@virtflex/topo-model";
import { Context, type Effect } from "effect";
import type { PortFailure } from "./GuestStore.ts";

/** All sizes in bytes. @since 0.1.0 */
export class Balloon extends Context.Service<
  Balloon,
  {
    /** What the vnode has now. */
    readonly actual: (vnode: VnodeId) => Effect.Effect<number, PortFailure>;
    /**
     * Gives memory back to the guest; answers how much, which is less where the
     * host has no more for it now.
     */
    readonly balloonIn: (vnode: VnodeId, bytes: number) => Effect.Effect<number, PortFailure>;
    /**
     * Takes memory from the guest; answers how much, which is less where the
     * rest is in use now.
     */
    readonly balloonOut: (vnode: VnodeId, bytes: number) => Effect.Effect<number, PortFailure>;
  }
>()("@virtflex/guest-notify/Balloon") {}
