/**
 * The contract of xenstore: a tree of small values with permissions,
 * transactions and watches. Layers: `embedded` and `live`.
 *
 * Reference: docs/misc/xenstore.txt and xen/include/public/io/xs_wire.h of Xen.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Schema, type Stream } from "effect";

/** Errors keep Xen's errno names: the closed list of xs_wire.h. @since 0.1.0 */
export const XenStoreErrno = Schema.Literals([
  "EINVAL",
  "EACCES",
  "EEXIST",
  "EISDIR",
  "ENOENT",
  "ENOMEM",
  "ENOSPC",
  "EIO",
  "ENOTEMPTY",
  "ENOSYS",
  "EROFS",
  "EBUSY",
  "EAGAIN",
  "EISCONN",
  "E2BIG",
  "EPERM",
]);
export type XenStoreErrno = typeof XenStoreErrno.Type;

/** An operation that xenstore refused. @since 0.1.0 */
export class XenStoreError extends Schema.TaggedError<XenStoreError>()("XenStoreError", {
  errno: XenStoreErrno,
  operation: Schema.String,
  path: Schema.String,
}) {
  /** A stable code for machines. */
  get code(): string {
    return `XENSTORE_${this.errno}`;
  }
  override get message(): string {
    return `xenstore ${this.operation} ${this.path}: ${this.errno}`;
  }
}

/** No Xen, or not one that this layer can talk to; says what is missing. @since 0.1.0 */
export class XenUnavailable extends Schema.TaggedError<XenUnavailable>()("XenUnavailable", {
  missing: Schema.String,
  hint: Schema.String,
}) {
  readonly code = "XEN_UNAVAILABLE";
  override get message(): string {
    return `Xen is unavailable: ${this.missing}. ${this.hint}`;
  }
}

/** What every call may fail with. @since 0.1.0 */
export type XenStoreFailure = XenStoreError | XenUnavailable;

/** Who may do what with a node; the first entry's domain owns it. @since 0.1.0 */
export const Permission = Schema.Struct({
  domain: Schema.Int,
  /** The owner may all; the owner's entry is the default for every domain not listed. */
  access: Schema.Literals(["none", "read", "write", "both"]),
});
export type Permission = typeof Permission.Type;

/** The operations that a transaction has as well. @since 0.1.0 */
export interface XenStoreOps {
  readonly read: (path: string) => Effect.Effect<string, XenStoreFailure>;
  readonly write: (path: string, value: string) => Effect.Effect<void, XenStoreFailure>;
  /** Children's names, sorted. */
  readonly list: (path: string) => Effect.Effect<ReadonlyArray<string>, XenStoreFailure>;
  /**
   * Removes the node and everything below it. One that is absent is removed
   * already, unless its parent is absent too: ENOENT. The root is never removed: EINVAL.
   */
  readonly remove: (path: string) => Effect.Effect<void, XenStoreFailure>;
  readonly permissions: (path: string) => Effect.Effect<ReadonlyArray<Permission>, XenStoreFailure>;
  readonly setPermissions: (
    path: string,
    permissions: ReadonlyArray<Permission>,
  ) => Effect.Effect<void, XenStoreFailure>;
}

/** @since 0.1.0 */
export class XenStore extends Context.Service<
  XenStore,
  XenStoreOps & {
    /**
     * Runs `body` in a transaction, which is committed when it succeeds and
     * aborted when it fails or is interrupted. A commit that answers EAGAIN
     * runs `body` anew, so it must be re-runnable; after the bounded, jittered
     * retries the EAGAIN is the error.
     */
    readonly transaction: <A, E, R>(
      body: (transaction: XenStoreOps) => Effect.Effect<A, E, R>,
    ) => Effect.Effect<A, E | XenStoreFailure, R>;
    /**
     * The paths at or below `path` that changed. The first element is `path`
     * itself, once the watch stands (xenstore's registration event). Ending
     * the stream's scope removes the watch. Events may be spurious and are
     * coalesced, never lost.
     */
    readonly watch: (path: string) => Stream.Stream<string, XenStoreFailure>;
  }
>()("@virtflex/xen-control/XenStore") {}
