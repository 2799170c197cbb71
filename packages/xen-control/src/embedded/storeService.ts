/** `XenStore` over one connection to an embedded store. */
import { Effect, Latch, Result, type Scope, Stream } from "effect";
import { type OpenTransaction, transactionWith } from "../internal/transactions.ts";
import { XenStore, XenStoreError, type XenStoreFailure, type XenStoreOps } from "../XenStore.ts";
import type { Connection, Store, Transaction } from "./Store.ts";
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

const operations = (gate: Gate, on: Connection | Transaction): XenStoreOps => ({
  read: (path) => call(gate, "read", path, () => on.read(path)),
  write: (path, value) => call(gate, "write", path, () => on.write(path, value)),
  list: (path) => call(gate, "list", path, () => on.list(path)),
  remove: (path) => call(gate, "remove", path, () => on.remove(path)),
  permissions: (path) => call(gate, "permissions", path, () => on.permissions(path)),
  setPermissions: (path, permissions) =>
    call(gate, "setPermissions", path, () => on.setPermissions(path, permissions)),
});

const watchOn = (
  gate: Gate,
  connection: Connection,
  path: string,
): Stream.Stream<string, XenStoreFailure> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const news = Latch.makeUnsafe(true);
      const watch = yield* Effect.acquireRelease(
        call(gate, "watch", path, () => connection.watch(path, () => news.openUnsafe())),
        (started) => Effect.sync(() => connection.unwatch(started)),
      );
      const next: Effect.Effect<ReadonlyArray<string>, XenStoreError> = Effect.suspend(() => {
        if (!connection.isOpen) {
          return Effect.fail(new XenStoreError({ errno: "EIO", operation: "watch", path }));
        }
        const paths = watch.take();
        if (paths.length > 0) return Effect.succeed(paths);
        news.closeUnsafe();
        return Effect.andThen(news.await, Effect.andThen(gate, next));
      });
      return Stream.fromIterableEffectRepeat(Effect.andThen(gate, next));
    }),
  );

export interface StoreConnection {
  readonly service: XenStore["Service"];
  /** A transaction that the caller ends. */
  readonly begin: Effect.Effect<OpenTransaction, XenStoreFailure>;
}

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
      const begin = Effect.map(
        call(gate, "transaction", "/", () => connection.begin()),
        (transaction): OpenTransaction => ({
          ...operations(gate, transaction),
          commit: call(gate, "commit", "/", () => transaction.commit()),
          abort: Effect.sync(() => transaction.abort()),
        }),
      );
      return {
        begin,
        service: XenStore.of({
          ...operations(gate, connection),
          transaction: transactionWith(begin),
          watch: (path) => watchOn(gate, connection, path),
        }),
      };
    },
  );
