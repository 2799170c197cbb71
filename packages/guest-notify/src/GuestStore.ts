/**
 * The guest's own tree of xenstore, as its agent needs it: paths are relative
 * to `/local/domain/<domid>`. A port: a `XenStore` with the guest's credentials is
 * one.
 *
 * @since 0.1.0
 */
import { Context, type Effect, type Stream } from "effect";

/** Why a port refused; any error with a stable code is one. @since 0.1.0 */
export interface PortFailure {
  readonly code: string;
  readonly message: string;
}

/** The code of a store that has no such path. */
export const absentCode = "XENSTORE_ENOENT";

/** @since 0.1.0 */
export class GuestStore extends Context.Service<
  GuestStore,
  {
    /** Fails with the code `XENSTORE_ENOENT` where there is no such path. */
    readonly read: (path: string) => Effect.Effect<string, PortFailure>;
    readonly write: (path: string, value: string) => Effect.Effect<void, PortFailure>;
    /** Names of the children; fails with `XENSTORE_ENOENT` where there is no such path. */
    readonly list: (path: string) => Effect.Effect<ReadonlyArray<string>, PortFailure>;
    /** Fails with `XENSTORE_ENOENT` where there is no such path. */
    readonly remove: (path: string) => Effect.Effect<void, PortFailure>;
    /** One element once it stands, and one after each change at or below the path. */
    readonly watch: (path: string) => Stream.Stream<unknown, PortFailure>;
  }
>()("@virtflex/guest-notify/GuestStore") {}
