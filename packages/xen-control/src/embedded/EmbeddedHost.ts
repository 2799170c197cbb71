/**
 * What only an embedded host can be asked: to build guests, to let a process
 * act as the kernel of one, and to fail.
 *
 * @since 0.1.0
 */
import type { DomainId, Guest, PnodeId } from "@virtflex/topo-model";
import { Context, type Effect, Schema, type Scope } from "effect";
import type { HypervisorFailure } from "../Hypervisor.ts";
import type { EmbeddedGuest } from "./EmbeddedGuest.ts";

/** What clients hold of the host; all zero when none is left. @since 0.1.0 */
export const EmbeddedUsage = Schema.Struct({
  connections: Schema.Int,
  watches: Schema.Int,
  transactions: Schema.Int,
});
export type EmbeddedUsage = typeof EmbeddedUsage.Type;

/** @since 0.1.0 */
export class EmbeddedHost extends Context.Service<
  EmbeddedHost,
  {
    /** Builds a guest: takes its memory, writes its directory in xenstore. */
    readonly createGuest: (guest: Guest) => Effect.Effect<void, HypervisorFailure>;
    /** Frees its memory, removes its directory, cuts off who acts for it. */
    readonly destroyGuest: (domain: DomainId) => Effect.Effect<void, HypervisorFailure>;
    /** Acts as the guest's kernel, until the scope closes. */
    readonly guest: (
      domain: DomainId,
    ) => Effect.Effect<EmbeddedGuest["Service"], HypervisorFailure, Scope.Scope>;
    readonly usage: Effect.Effect<EmbeddedUsage, HypervisorFailure>;

    /** Fault: the guest runs no instruction until `unpause`; it answers nobody. */
    readonly pause: (domain: DomainId) => Effect.Effect<void, HypervisorFailure>;
    readonly unpause: (domain: DomainId) => Effect.Effect<void, HypervisorFailure>;
    /** Fault: the guest pauses by itself in the balloon operation that passes `bytes` more. */
    readonly pauseAfter: (
      domain: DomainId,
      bytes: number,
    ) => Effect.Effect<void, HypervisorFailure>;
    /** Fault: somebody takes what is free on the pnode, but for `bytes`. */
    readonly leaveFree: (pnode: PnodeId, bytes: number) => Effect.Effect<void, HypervisorFailure>;
    /** Fault: the next `commits` transactions of anybody answer EAGAIN. */
    readonly conflictNext: (commits: number) => Effect.Effect<void, HypervisorFailure>;
  }
>()("@virtflex/xen-control/EmbeddedHost") {}
