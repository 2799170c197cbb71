/** `XenStore` over one connection to an embedded store. */
import { Effect, Result, type Scope, Stream } from "effect";
import { type TransactionHandle, transactionWith } from "../internal/transactions.ts";
import { WatchEvents } from "../internal/WatchEvents.ts";
import { XenStore, XenStoreError, type XenStoreFailure, type XenStoreOps } from "../XenStore.ts";
import type { Connection, Operations, Store, Transaction, Watcher } from "./Store.ts";
import type { Answer } from "./Tree.ts";

/** What is waited for before each operation: that the domain runs. */
export type Gate = Effect.Effect<void>;

const call = <A>(
  gate: Gate,
  operation: string,
  path: string,
  run: () => Answer<A>,
): Effect.Effect<A, XenStoreError> =>
  Effect.andThen(
    gate,
    Effect.suspend(() =>
      Effect.fromResult(
        Result.mapError(run(), (errno) => new XenStoreError({ errno, operation, path })),
      ),
    ),
  );

/** How an operation reaches its connection or transaction. */
type On<T> = <A>(
  operation: string,
  path: string,
  run: (target: T) => Answer<A>,
) => Effect.Effect<A, XenStoreError>;

const operations = (on: On<Operations>): XenStoreOps => ({
  read: (path) => on("read", path, (target) => target.read(path)),
  write: (path, value) => on("write", path, (target) => target.write(path, value)),
  list: (path) => on("list", path, (target) => target.list(path)),
  remove: (path) => on("remove", path, (target) => target.remove(path)),
  permissions: (path) => on("permissions", path, (target) => target.permissions(path)),
  setPermissions: (path, permissions) =>
    on("setPermissions", path, (target) => target.setPermissions(path, permissions)),
});

const watchOn = (
  gate: Gate,
  connection: Connection,
  path: string,
): Stream.Stream<string, XenStoreFailure> =>
  Stream.unwrap(
    Effect.gen(function* () {
      // Waited for here, where it can be interrupted.
      yield* gate;
      const events = new WatchEvents(path);
      const closed = new XenStoreError({ errno: "EIO", operation: "watch", path });
      const watcher: Watcher = {
        event: (changed) => events.add(changed),
        closed: () => events.fail(closed),
      };
      yield* Effect.acquireRelease(
        call(Effect.void, "watch", path, () => connection.watch(path, watcher)),
        (watch) => Effect.sync(() => connection.unwatch(watch)),
      );
      return events.stream(gate);
    }),
  );

export interface StoreConnection {
  readonly service: XenStore["Service"];
  /** A transaction for a caller who ends it himself. */
  readonly transaction: Effect.Effect<TransactionHandle>;
}

const transactionOn = (gate: Gate, connection: Connection): TransactionHandle => {
  let begun: Transaction | undefined;
  const on = <A>(
    operation: string,
    path: string,
    run: (transaction: Transaction) => Answer<A>,
  ): Effect.Effect<A, XenStoreError> =>
    call(gate, operation, path, () =>
      begun === undefined ? Result.fail("ENOENT" as const) : run(begun),
    );
  return {
    ...operations(on),
    begin: call(gate, "transaction", "/", () =>
      Result.map(connection.begin(), (transaction) => {
        begun = transaction;
      }),
    ),
    commit: on("commit", "/", (transaction) => transaction.commit()),
    abort: Effect.sync(() => begun?.abort()),
  };
};

/** Connects with the credentials of a domain; the scope ends the connection. */
export const connectStore = (
  store: Store,
  domain: number,
  gate: Gate,
): Effect.Effect<StoreConnection, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => store.connect(domain)),
      (connection) => Effect.sync(() => store.disconnect(connection)),
    ),
    (connection): StoreConnection => {
      const transaction = Effect.sync(() => transactionOn(gate, connection));
      const on: On<Connection> = (operation, path, run) =>
        call(gate, operation, path, () => run(connection));
      return {
        transaction,
        service: XenStore.of({
          ...operations(on),
          transaction: transactionWith(transaction),
          watch: (path) => watchOn(gate, connection, path),
        }),
      };
    },
  );
