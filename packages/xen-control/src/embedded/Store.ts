/**
 * A xenstore in memory: the tree, the connections to it, their watches and
 * transactions. Conflicts are found as C xenstored finds them
 * (tools/xenstore/xenstored_transaction.c): every node that a transaction
 * touched must still be the one that it saw.
 */
import { Result } from "effect";
import type { Permission, XenStoreErrno } from "../XenStore.ts";
import * as Tree from "./Tree.ts";

/** A tree and how many nodes each domain owns; tells of what was done to it. */
class Base implements Tree.View {
  readonly #nodes = new Map<string, Tree.Node>();
  readonly #owned = new Map<number, number>();
  readonly changed: (change: Tree.Change) => void;

  constructor(changed: (change: Tree.Change) => void) {
    this.changed = changed;
    this.set("/", { value: "", permissions: [{ domain: 0, access: "none" }], children: [] });
  }

  get(path: string): Tree.Node | undefined {
    return this.#nodes.get(path);
  }

  set(path: string, node: Tree.Node): void {
    this.delete(path);
    this.#nodes.set(path, node);
    this.#count(Tree.ownerOf(node), 1);
  }

  delete(path: string): void {
    const node = this.#nodes.get(path);
    if (node === undefined) return;
    this.#nodes.delete(path);
    this.#count(Tree.ownerOf(node), -1);
  }

  owned(domain: number): number {
    return this.#owned.get(domain) ?? 0;
  }

  #count(domain: number, by: number): void {
    this.#owned.set(domain, this.owned(domain) + by);
  }
}

/** The tree as a transaction sees it: its own changes over what it found. */
class Overlay implements Tree.View {
  readonly #base: Base;
  /** Every node touched, as it was found. */
  readonly #found = new Map<string, Tree.Node | undefined>();
  readonly #now = new Map<string, Tree.Node | undefined>();
  readonly #owned = new Map<number, number>();
  readonly #changes: Array<Tree.Change> = [];

  constructor(base: Base) {
    this.#base = base;
  }

  get(path: string): Tree.Node | undefined {
    if (this.#now.has(path)) return this.#now.get(path);
    if (!this.#found.has(path)) this.#found.set(path, this.#base.get(path));
    return this.#found.get(path);
  }

  set(path: string, node: Tree.Node): void {
    this.delete(path);
    this.#now.set(path, node);
    this.#count(Tree.ownerOf(node), 1);
  }

  delete(path: string): void {
    const node = this.get(path);
    if (node !== undefined) this.#count(Tree.ownerOf(node), -1);
    this.#now.set(path, undefined);
  }

  owned(domain: number): number {
    return this.#base.owned(domain) + (this.#owned.get(domain) ?? 0);
  }

  changed(change: Tree.Change): void {
    this.#changes.push(change);
  }

  get touched(): number {
    return this.#found.size;
  }

  hasGrown(domain: number): boolean {
    return (this.#owned.get(domain) ?? 0) > 0;
  }

  commit(): Tree.Answer<void> {
    for (const [path, node] of this.#found) {
      // Nodes are never changed in place: the same object is the same generation.
      if (this.#base.get(path) !== node) return Result.fail("EAGAIN");
    }
    for (const [path, node] of this.#now) {
      if (node === undefined) this.#base.delete(path);
      else this.#base.set(path, node);
    }
    for (const change of this.#changes) this.#base.changed(change);
    return Result.void;
  }

  #count(domain: number, by: number): void {
    this.#owned.set(domain, (this.#owned.get(domain) ?? 0) + by);
  }
}

/** Who is told of a watch's events. */
export interface Watcher {
  readonly event: (path: string) => void;
  /** The connection is closed by the store's side. */
  readonly closed: () => void;
}

/** One watch. */
export class Watch {
  readonly path: string;
  readonly watcher: Watcher;
  /** Where the path begins that its owner knows, who may have given a relative one. */
  readonly #given: number;

  constructor(path: string, given: string, watcher: Watcher) {
    this.path = path;
    this.watcher = watcher;
    this.#given = path.length - given.length;
  }

  fire(path: string): void {
    this.watcher.event(path.slice(this.#given));
  }
}

/** The operations that a connection and a transaction both have. */
export abstract class Operations {
  readonly domain: number;
  readonly #view: Tree.View;

  constructor(domain: number, view: Tree.View) {
    this.domain = domain;
    this.#view = view;
  }

  /** Why nothing more can be done here. */
  protected abstract refusal(): XenStoreErrno | undefined;

  read(path: string): Tree.Answer<string> {
    return this.#at(path, (at) => Tree.read(this.#view, this.domain, at));
  }

  write(path: string, value: string): Tree.Answer<void> {
    return this.#at(path, (at) => Tree.write(this.#view, this.domain, at, value));
  }

  list(path: string): Tree.Answer<ReadonlyArray<string>> {
    return this.#at(path, (at) => Tree.list(this.#view, this.domain, at));
  }

  remove(path: string): Tree.Answer<void> {
    return this.#at(path, (at) => Tree.remove(this.#view, this.domain, at));
  }

  permissions(path: string): Tree.Answer<ReadonlyArray<Permission>> {
    return this.#at(path, (at) => Tree.permissions(this.#view, this.domain, at));
  }

  setPermissions(path: string, permissions: ReadonlyArray<Permission>): Tree.Answer<void> {
    return this.#at(path, (at) => Tree.setPermissions(this.#view, this.domain, at, permissions));
  }

  #at<A>(path: string, run: (absolute: string) => Tree.Answer<A>): Tree.Answer<A> {
    const refusal = this.refusal();
    if (refusal !== undefined) return Result.fail(refusal);
    return Result.flatMap(Tree.absolute(this.domain, path), run);
  }
}

/** One transaction; once committed or aborted it is unknown (ENOENT). */
export class Transaction extends Operations {
  readonly #connection: Connection;
  readonly #overlay: Overlay;
  readonly #store: Store;

  constructor(connection: Connection, base: Base, store: Store) {
    const overlay = new Overlay(base);
    super(connection.domain, overlay);
    this.#connection = connection;
    this.#overlay = overlay;
    this.#store = store;
  }

  protected override refusal(): XenStoreErrno | undefined {
    if (!this.#connection.transactions.has(this)) return "ENOENT";
    const full = this.#overlay.touched >= Tree.limits.transactionNodes;
    return full && !Tree.isPrivileged(this.domain) ? "ENOSPC" : undefined;
  }

  commit(): Tree.Answer<void> {
    if (!this.#connection.transactions.delete(this)) return Result.fail("ENOENT");
    if (this.#store.takeConflict()) return Result.fail("EAGAIN");
    const overQuota =
      !Tree.isPrivileged(this.domain) &&
      this.#overlay.hasGrown(this.domain) &&
      this.#overlay.owned(this.domain) > Tree.limits.nodes;
    return overQuota ? Result.fail("ENOSPC") : this.#overlay.commit();
  }

  abort(): void {
    this.#connection.transactions.delete(this);
  }
}

/** A client of the store with the credentials of a domain. */
export class Connection extends Operations {
  readonly watches = new Set<Watch>();
  readonly transactions = new Set<Transaction>();
  readonly #store: Store;
  readonly #base: Base;

  constructor(domain: number, store: Store, base: Base) {
    super(domain, base);
    this.#store = store;
    this.#base = base;
  }

  get isOpen(): boolean {
    return this.#store.has(this);
  }

  protected override refusal(): XenStoreErrno | undefined {
    return this.isOpen ? undefined : "EIO";
  }

  /** Starts a watch; the first event, its registration, comes at once. */
  watch(path: string, watcher: Watcher): Tree.Answer<Watch> {
    if (!this.isOpen) return Result.fail("EIO");
    if (!Tree.isPrivileged(this.domain) && this.watches.size > Tree.limits.watches) {
      return Result.fail("E2BIG");
    }
    const full = path.startsWith("@") ? Result.succeed(path) : Tree.absolute(this.domain, path);
    return Result.map(full, (at) => {
      const watch = new Watch(at, path, watcher);
      this.watches.add(watch);
      watch.fire(at);
      return watch;
    });
  }

  unwatch(watch: Watch): void {
    this.watches.delete(watch);
  }

  begin(): Tree.Answer<Transaction> {
    if (!this.isOpen) return Result.fail("EIO");
    if (!Tree.isPrivileged(this.domain) && this.transactions.size > Tree.limits.transactions) {
      return Result.fail("ENOSPC");
    }
    const transaction = new Transaction(this, this.#base, this.#store);
    this.transactions.add(transaction);
    return Result.succeed(transaction);
  }
}

/** A xenstore. */
export class Store {
  readonly #base: Base;
  readonly #connections = new Set<Connection>();
  readonly #listener: (path: string) => void;
  #conflicts = 0;

  /** `listener` hears of every change at once: the kernels of the guests. */
  constructor(listener: (path: string) => void) {
    this.#listener = listener;
    this.#base = new Base((change) => {
      this.#fire(change);
    });
  }

  connect(domain: number): Connection {
    const connection = new Connection(domain, this, this.#base);
    this.#connections.add(connection);
    return connection;
  }

  /** Aborts the connection's transactions and removes its watches. */
  disconnect(connection: Connection): void {
    this.#connections.delete(connection);
    connection.transactions.clear();
    for (const { watcher } of connection.watches) watcher.closed();
    connection.watches.clear();
  }

  /** Cuts off every client that speaks for the domain. */
  disconnectDomain(domain: number): void {
    for (const connection of this.#connections) {
      if (connection.domain === domain) this.disconnect(connection);
    }
  }

  has(connection: Connection): boolean {
    return this.#connections.has(connection);
  }

  /** The fault of a busy store: the next `count` commits answer EAGAIN. */
  conflictNext(count: number): void {
    this.#conflicts = count;
  }

  takeConflict(): boolean {
    if (this.#conflicts === 0) return false;
    this.#conflicts -= 1;
    return true;
  }

  /** Tells those who watch `@introduceDomain` or `@releaseDomain`. */
  announce(event: "@introduceDomain" | "@releaseDomain"): void {
    this.#fire({ path: event, exact: true, readers: [] });
  }

  /** What is left over of clients: nothing, when all have gone. */
  get usage(): {
    readonly connections: number;
    readonly watches: number;
    readonly transactions: number;
  } {
    const all = [...this.#connections];
    return {
      connections: all.length,
      watches: all.reduce((sum, { watches }) => sum + watches.size, 0),
      transactions: all.reduce((sum, { transactions }) => sum + transactions.size, 0),
    };
  }

  #fire({ path, exact, readers }: Tree.Change): void {
    for (const connection of this.#connections) {
      const reads =
        Tree.isPrivileged(connection.domain) ||
        readers.some((permissions) => Tree.isReader(connection.domain, permissions));
      if (!reads) continue;
      for (const watch of connection.watches) {
        if (exact ? path === watch.path : Tree.isAtOrBelow(path, watch.path)) watch.fire(path);
      }
    }
    this.#listener(path);
  }
}
