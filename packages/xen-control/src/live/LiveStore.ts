/**
 * `XenStore` over libxenstore: one connection to xenstored, made when it is first
 * needed and made anew when xenstored was restarted.
 */
import { Effect, Latch, Result, Schema, type Scope, Stream } from "effect";
import { type TransactionHandle, transactionWith } from "../internal/transactions.ts";
import { WatchEvents } from "../internal/WatchEvents.ts";
import {
  type Permission,
  XenStore,
  XenStoreErrno,
  XenStoreError,
  type XenStoreFailure,
  type XenStoreOps,
  XenUnavailable,
} from "../XenStore.ts";
import { native, type NativeStore, storeOp } from "./native.ts";

interface Request {
  readonly op: keyof typeof storeOp;
  readonly path: string;
  readonly transaction?: number;
  readonly value?: string;
  readonly permissions?: ReadonlyArray<number>;
}

interface Answer {
  readonly transaction: number;
  readonly strings: ReadonlyArray<Buffer>;
  readonly permissions: ReadonlyArray<number>;
}

interface Watch {
  readonly path: string;
  readonly events: WatchEvents;
  /** xenstored knows it: so must the one that comes after a restart. */
  standing: boolean;
}

const isErrno = Schema.is(XenStoreErrno);

const lostConnection = new XenUnavailable({
  missing: "xenstored closed the connection",
  hint: "Is it running? systemctl status xenstored",
});

/** Guests write what they like: what is no UTF-8 reads with U+FFFD in its place. */
const textOf = (bytes: Buffer | undefined): string => bytes?.toString("utf8") ?? "";

/** XS_PERM_READ is 1, XS_PERM_WRITE is 2 (xenstore_lib.h). */
const accesses = ["none", "read", "write", "both"] as const;

/** A connection, and what is waited for on it. */
class Connection {
  /** Changes with every connection: what belongs to an earlier one is gone. */
  era = 0;
  /** Open while watches stand on a connection that was lost. */
  readonly lost = Latch.makeUnsafe(false);
  readonly #waiting = new Map<number, (errno: string, answer: Answer) => void>();
  readonly #watches = new Map<string, Watch>();
  #store: NativeStore | undefined;
  #lastId = 0;
  #lastToken = 0;

  request(request: Request, era = this.era): Effect.Effect<Answer, XenStoreFailure> {
    const { op, path } = request;
    return Effect.callback((resume) => {
      if (path.includes("\0")) {
        resume(Effect.fail(new XenStoreError({ errno: "EINVAL", operation: op, path })));
        return;
      }
      const store = this.open();
      if (Result.isFailure(store)) {
        resume(Effect.fail(store.failure));
        return;
      }
      if (era !== this.era && request.transaction !== undefined) {
        resume(Effect.fail(lostConnection));
        return;
      }
      const id = this.#submit(store.success, request, (errno, answer) => {
        resume(
          errno === ""
            ? Effect.succeed(answer)
            : isErrno(errno)
              ? Effect.fail(new XenStoreError({ errno, operation: op, path }))
              : Effect.fail(lostConnection),
        );
      });
      return Effect.sync(() => {
        if (!this.#waiting.has(id)) return;
        // A transaction that begins for nobody is aborted as soon as it is known.
        this.#waiting.set(id, (errno, { transaction }) => {
          if (op === "begin" && errno === "") this.abort(transaction, this.era);
        });
      });
    });
  }

  abort(transaction: number, era: number): void {
    if (era !== this.era || this.#store === undefined) return;
    this.#submit(
      this.#store,
      { op: "end", path: "/", transaction, value: "abort" },
      () => undefined,
    );
  }

  /** Makes room for a watch; its token is what xenstored shall know it by. */
  expect(path: string): { readonly token: string; readonly events: WatchEvents } {
    const token = `virtflex-${(this.#lastToken += 1)}`;
    const events = new WatchEvents(path);
    this.#watches.set(token, { path, events, standing: false });
    return { token, events };
  }

  watch(token: string, path: string): Effect.Effect<void, XenStoreFailure> {
    return Effect.map(this.request({ op: "watch", path, value: token }), () => {
      const watch = this.#watches.get(token);
      if (watch !== undefined) watch.standing = true;
    });
  }

  unwatch(token: string): void {
    const watch = this.#watches.get(token);
    this.#watches.delete(token);
    if (watch === undefined || this.#store === undefined) return;
    const request = { op: "unwatch", path: watch.path, value: token } as const;
    this.#submit(this.#store, request, () => undefined);
  }

  /** The connection, made anew with all its watches if need be. */
  open(): Result.Result<NativeStore, XenUnavailable> {
    if (this.#store !== undefined) return Result.succeed(this.#store);
    const opened = native(
      ({ Store }) =>
        new Store(
          (id, errno, transaction, strings, permissions) => {
            const waiting = this.#waiting.get(id);
            this.#waiting.delete(id);
            waiting?.(errno, { transaction, strings, permissions });
          },
          (token, paths) => {
            const watch = this.#watches.get(token);
            if (paths.length === 0) watch?.events.add(watch.path);
            for (const path of paths) watch?.events.add(textOf(path));
          },
          () => this.#drop(this.#store),
        ),
    );
    if (Result.isFailure(opened)) return opened;
    this.#store = opened.success;
    this.lost.closeUnsafe();
    for (const [token, { path, events, standing }] of this.#watches) {
      if (!standing) continue;
      // Its registration event makes the reader read anew what it may have missed.
      this.#submit(opened.success, { op: "watch", path, value: token }, (errno) => {
        if (isErrno(errno)) {
          events.fail(new XenStoreError({ errno, operation: "watch", path }));
        }
      });
    }
    return opened;
  }

  close(): void {
    this.#watches.clear();
    this.#drop(this.#store);
  }

  #submit(
    store: NativeStore,
    { op, path, transaction = 0, value = "", permissions = [] }: Request,
    answered: (errno: string, answer: Answer) => void,
  ): number {
    const id = (this.#lastId = (this.#lastId + 1) >>> 0);
    this.#waiting.set(id, (errno, answer) => {
      // Errors that xenstored never answers are those of a dead connection, and
      // libxenstore ends one whose list is longer than a message. It goes first: who
      // is answered asks the next thing at once.
      const dead = !isErrno(errno) || (op === "list" && errno === "E2BIG");
      if (errno !== "" && dead) this.#drop(store);
      answered(errno, answer);
    });
    store.submit(id, storeOp[op], transaction, path, value, permissions);
    return id;
  }

  #drop(store: NativeStore | undefined): void {
    if (this.#store === undefined || this.#store !== store) return;
    this.#store.close();
    this.#store = undefined;
    this.era += 1;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const answered of waiting) {
      answered("ECONNRESET", { transaction: 0, strings: [], permissions: [] });
    }
    if (this.#watches.size > 0) this.lost.openUnsafe();
  }
}

/** How often a lost connection is tried anew for the watches on it. */
const reconnectInterval = "500 millis";

const reconnecting = (connection: Connection): Effect.Effect<never> =>
  connection.lost.await.pipe(
    Effect.andThen(Effect.sleep(reconnectInterval)),
    Effect.andThen(Effect.sync(() => connection.open())),
    Effect.forever,
  );

/** Reaches the store, or a transaction of it. */
type Ask = (request: Request) => Effect.Effect<Answer, XenStoreFailure>;

const operations = (ask: Ask): XenStoreOps => ({
  read: (path) => Effect.map(ask({ op: "read", path }), ({ strings }) => textOf(strings[0])),
  write: (path, value) => Effect.asVoid(ask({ op: "write", path, value })),
  list: (path) =>
    Effect.map(ask({ op: "list", path }), ({ strings }) => Array.from(strings, textOf).sort()),
  // oxenstored would do it, and every domain's keys were gone.
  remove: (path) =>
    path === "/"
      ? Effect.fail(new XenStoreError({ errno: "EINVAL", operation: "remove", path }))
      : Effect.asVoid(ask({ op: "remove", path })),
  permissions: (path) =>
    Effect.map(ask({ op: "permissions", path }), ({ permissions }) => {
      const list: Array<Permission> = [];
      for (let i = 0; i + 1 < permissions.length; i += 2) {
        const [domain = 0, bits = 0] = permissions.slice(i, i + 2);
        list.push({ domain, access: accesses[bits & 3] ?? "none" });
      }
      return list;
    }),
  setPermissions: (path, permissions) =>
    Effect.asVoid(
      ask({
        op: "setPermissions",
        path,
        permissions: permissions.flatMap(({ domain, access }) => [
          domain,
          accesses.indexOf(access),
        ]),
      }),
    ),
});

const transactionOn = (connection: Connection): TransactionHandle => {
  let begun: { readonly transaction: number; readonly era: number } | undefined;
  const ask = (request: Request, sent?: () => void): Effect.Effect<Answer, XenStoreFailure> =>
    Effect.suspend(() => {
      const { op: operation, path } = request;
      const now = begun;
      sent?.();
      return now === undefined
        ? Effect.fail(new XenStoreError({ errno: "ENOENT", operation, path }))
        : connection.request({ ...request, transaction: now.transaction }, now.era);
    });
  return {
    ...operations(ask),
    begin: Effect.map(connection.request({ op: "begin", path: "/" }), ({ transaction }) => {
      begun = { transaction, era: connection.era };
    }),
    // Whatever is answered, it has ended: oxenstored calls its abort EIO then.
    commit: Effect.asVoid(
      ask({ op: "end", path: "/", value: "commit" }, () => {
        begun = undefined;
      }),
    ),
    abort: Effect.sync(() => {
      if (begun !== undefined) connection.abort(begun.transaction, begun.era);
      begun = undefined;
    }),
  };
};

const watchOn = (connection: Connection, path: string): Stream.Stream<string, XenStoreFailure> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { token, events } = yield* Effect.acquireRelease(
        Effect.sync(() => connection.expect(path)),
        (watch) => Effect.sync(() => connection.unwatch(watch.token)),
      );
      yield* connection.watch(token, path);
      return events.stream(Effect.void);
    }),
  );

/** The store of the host that this process runs on; connected until the scope closes. */
export const makeLiveStore: Effect.Effect<XenStore["Service"], never, Scope.Scope> = Effect.gen(
  function* () {
    const connection = yield* Effect.acquireRelease(
      Effect.sync(() => new Connection()),
      (each) => Effect.sync(() => each.close()),
    );
    yield* Effect.forkScoped(reconnecting(connection));
    return XenStore.of({
      ...operations((request) => connection.request(request)),
      transaction: transactionWith(Effect.sync(() => transactionOn(connection))),
      watch: (path) => watchOn(connection, path),
    });
  },
);
