/**
 * The tree of xenstore: nodes, who may touch them, and the operations on
 * them, as C xenstored has them (tools/xenstore/xenstored_core.c of Xen 4.17).
 *
 * Everything here is synchronous and answers a `Result`, so that one operation
 * is one indivisible act, whichever fiber asks for it.
 */
import { Result } from "effect";
import type { Permission, XenStoreErrno } from "../XenStore.ts";

/** A node; never changed in place, so that whoever holds one holds a snapshot. */
export interface Node {
  readonly value: string;
  readonly permissions: ReadonlyArray<Permission>;
  readonly children: ReadonlyArray<string>;
}

/** What an operation did to a node, and who could see it before and after. */
export interface Change {
  readonly path: string;
  /** Told only to those who watch the path itself: it vanished with an ancestor. */
  readonly exact: boolean;
  readonly readers: ReadonlyArray<ReadonlyArray<Permission>>;
}

/** The store itself, or the store as a transaction sees it. */
export interface View {
  readonly get: (path: string) => Node | undefined;
  readonly set: (path: string, node: Node) => void;
  readonly delete: (path: string) => void;
  /** Nodes that the domain owns. */
  readonly owned: (domain: number) => number;
  readonly changed: (change: Change) => void;
}

export type Answer<A> = Result.Result<A, XenStoreErrno>;

/** Bounds of xenstored for guests (its defaults); dom0 has the first two only. */
export const limits = {
  /** XENSTORE_PAYLOAD_MAX: a path, its NUL and the value travel in one message. */
  messageBytes: 4096,
  /** XENSTORE_REL_PATH_MAX, below `/local/domain/<domid>/`; it bounds the depth too. */
  pathBytes: 2048,
  /** A node's record: header, permissions, value, names of its children. */
  recordBytes: 2048,
  nodes: 1000,
  permissions: 5,
  watches: 128,
  transactions: 10,
  transactionNodes: 1024,
} as const;

const recordHeaderBytes = 24;
const permissionBytes = 8;

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

export const isPrivileged = (domain: number): boolean => domain === 0;

const mayRead = 1;
const mayWrite = 2;
const mayOwn = 4;

const bits = { none: 0, read: mayRead, write: mayWrite, both: mayRead | mayWrite } as const;

/** dom0 and the owner may all; else the domain's own entry, else the first one's. */
const granted = (domain: number, permissions: ReadonlyArray<Permission>): number => {
  const [first, ...others] = permissions;
  if (isPrivileged(domain) || first?.domain === domain) return mayRead | mayWrite | mayOwn;
  const entry = others.find((permission) => permission.domain === domain) ?? first;
  return entry === undefined ? 0 : bits[entry.access];
};

export const isReader = (domain: number, permissions: ReadonlyArray<Permission>): boolean =>
  (granted(domain, permissions) & mayRead) !== 0;

export const ownerOf = (node: Node): number => node.permissions[0]?.domain ?? 0;

const parentOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf("/")));

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

const childOf = (path: string, name: string): string =>
  path === "/" ? `/${name}` : `${path}/${name}`;

export const isAtOrBelow = (path: string, ancestor: string): boolean =>
  ancestor === "/" || path === ancestor || path.startsWith(`${ancestor}/`);

/** The absolute path of one that may be relative to the domain's own directory. */
export const absolute = (domain: number, path: string): Answer<string> => {
  const full = path.startsWith("/") ? path : `/local/domain/${domain}/${path}`;
  const below = /^\/local\/domain\/\d{1,5}\//.exec(full)?.[0].length ?? 0;
  return /^\/$|^(?:\/[A-Za-z0-9_@-]+)+$/.test(full) && full.length <= below + limits.pathBytes
    ? Result.succeed(full)
    : Result.fail("EINVAL");
};

/**
 * The node, if the domain may do `wanted` with it. One who may not learns no
 * more than the nearest ancestor would tell.
 */
const access = (view: View, domain: number, path: string, wanted: number): Answer<Node> => {
  const node = view.get(path);
  if (node !== undefined) {
    return (granted(domain, node.permissions) & wanted) === wanted
      ? Result.succeed(node)
      : Result.fail("EACCES");
  }
  let ancestor = path;
  let nearest: Node | undefined;
  while (nearest === undefined && ancestor !== "/") {
    ancestor = parentOf(ancestor);
    nearest = view.get(ancestor);
  }
  return Result.fail(
    (granted(domain, nearest?.permissions ?? []) & wanted) === 0 ? "EACCES" : "ENOENT",
  );
};

const fits = (domain: number, node: Node): boolean =>
  isPrivileged(domain) ||
  recordHeaderBytes +
    permissionBytes * node.permissions.length +
    bytesOf(node.value) +
    node.children.reduce((sum, name) => sum + name.length + 1, 0) <
    limits.recordBytes;

const readersOf = (view: View, path: string, node: Node): Change["readers"] => {
  const parent = view.get(parentOf(path));
  return parent === undefined ? [node.permissions] : [node.permissions, parent.permissions];
};

/** Creates the node and the ancestors that it lacks. */
const create = (view: View, domain: number, path: string, value: string): Answer<Node> => {
  const missing: Array<string> = [];
  let ancestor = path;
  let existing: Node | undefined;
  while (existing === undefined) {
    missing.unshift(ancestor);
    ancestor = parentOf(ancestor);
    existing = view.get(ancestor);
    if (existing === undefined && ancestor === "/") return Result.fail("EIO");
  }
  const [first = path, ...below] = missing;
  const [owner, ...rest] = existing.permissions;
  if (owner === undefined) return Result.fail("EIO");
  const permissions = isPrivileged(domain)
    ? existing.permissions
    : [{ domain, access: owner.access }, ...rest];
  const nodes: Array<readonly [string, Node]> = [
    [ancestor, { ...existing, children: [...existing.children, nameOf(first)] }],
    ...missing.map((at, index): readonly [string, Node] => {
      const child = below[index];
      const children = child === undefined ? [] : [nameOf(child)];
      return [at, { value: child === undefined ? value : "", permissions, children }];
    }),
  ];
  const overQuota = !isPrivileged(domain) && view.owned(domain) + missing.length > limits.nodes;
  if (overQuota || !nodes.every(([, node]) => fits(domain, node))) return Result.fail("ENOSPC");
  for (const [at, node] of nodes) view.set(at, node);
  return Result.succeed({ value, permissions, children: [] });
};

export const read = (view: View, domain: number, path: string): Answer<string> =>
  Result.map(access(view, domain, path, mayRead), (node) => node.value);

export const list = (view: View, domain: number, path: string): Answer<ReadonlyArray<string>> =>
  Result.map(access(view, domain, path, mayRead), (node) => [...node.children].sort());

export const permissions = (
  view: View,
  domain: number,
  path: string,
): Answer<ReadonlyArray<Permission>> =>
  Result.map(access(view, domain, path, mayRead), (node) => node.permissions);

export const write = (view: View, domain: number, path: string, value: string): Answer<void> => {
  if (bytesOf(path) + 1 + bytesOf(value) > limits.messageBytes) return Result.fail("E2BIG");
  const found = access(view, domain, path, mayWrite);
  let written: Answer<Node>;
  if (Result.isSuccess(found)) {
    const node = { ...found.success, value };
    written = fits(domain, node) ? Result.succeed(node) : Result.fail("ENOSPC");
    if (Result.isSuccess(written)) view.set(path, node);
  } else {
    written = found.failure === "ENOENT" ? create(view, domain, path, value) : found;
  }
  return Result.map(written, (node) => {
    view.changed({ path, exact: false, readers: readersOf(view, path, node) });
  });
};

/** A node that does not exist is removed already, if its parent exists. */
export const remove = (view: View, domain: number, path: string): Answer<void> => {
  if (path === "/") return Result.fail("EINVAL");
  const above = parentOf(path);
  const parent = view.get(above);
  const found = access(view, domain, path, mayWrite);
  if (Result.isFailure(found)) {
    const isGone = found.failure === "ENOENT" && parent !== undefined;
    return isGone ? Result.void : Result.fail(found.failure);
  }
  if (parent === undefined) return Result.fail("EIO");
  const doomed: Array<string> = [path];
  for (const at of doomed) {
    for (const name of view.get(at)?.children ?? []) doomed.push(childOf(at, name));
  }
  for (const at of doomed.reverse()) {
    const node = view.get(at);
    if (node === undefined) continue;
    view.changed({ path: at, exact: at !== path, readers: readersOf(view, at, node) });
    view.delete(at);
  }
  const gone = nameOf(path);
  view.set(above, { ...parent, children: parent.children.filter((name) => name !== gone) });
  return Result.void;
};

export const setPermissions = (
  view: View,
  domain: number,
  path: string,
  wanted: ReadonlyArray<Permission>,
): Answer<void> => {
  const owner = wanted[0];
  if (owner === undefined) return Result.fail("EINVAL");
  if (!isPrivileged(domain) && wanted.length > limits.permissions) return Result.fail("ENOSPC");
  const found = access(view, domain, path, mayWrite | mayOwn);
  if (Result.isFailure(found)) return Result.fail(found.failure);
  const old = found.success;
  if (!isPrivileged(domain) && owner.domain !== ownerOf(old)) return Result.fail("EPERM");
  const node = { ...old, permissions: wanted };
  if (!fits(domain, node)) return Result.fail("ENOSPC");
  view.set(path, node);
  view.changed({
    path,
    exact: false,
    readers: [...readersOf(view, path, node), old.permissions],
  });
  return Result.void;
};
