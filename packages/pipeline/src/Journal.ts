/**
 * One change at a time to a guest, and a record of it that outlives its
 * controller: a directory in xenstore that dom0 alone can read.
 *
 *     /tool/virtflex/change/<n>/owner      the process that applies it; absent once it gave up
 *                              /domains    domain ids, separated by blanks
 *                              /steps/<i>  the plan's steps, JSON, cut into pieces
 *                              /begun      how many steps were begun
 *                              /back/<i>   step i is being taken back: its guest is asked for the inverse
 *
 * It is made in one transaction before the first step and removed after the
 * last: the removal is what commits the change. Whatever is found there whose
 * owner is gone has to be undone.
 *
 * @since 0.1.0
 */
import { DomainId, Step } from "@virtflex/topo-model";
import { XenStore, type XenStoreOps } from "@virtflex/xen-control";
import { Effect, Result, Schema } from "effect";
import { ChangeInProgress, JournalDamaged } from "./ChangeError.ts";
import { Controller, Owner } from "./Controller.ts";
import { listOptional, readOptional } from "./StoreKeys.ts";

const root = "/tool/virtflex/change";

/** Below xenstored's default limit of 2,048 bytes a value. */
const pieceLength = 1_500;

const OwnerText = Schema.fromJsonString(Owner);
const StepsText = Schema.fromJsonString(Schema.Array(Step));
const DomainText = Schema.FiniteFromString.pipe(Schema.decodeTo(DomainId));

/** A change that was begun and not committed. @since 0.1.0 */
export interface Journal {
  readonly path: string;
  readonly domains: ReadonlyArray<DomainId>;
  readonly steps: ReadonlyArray<Step>;
  /** How many of the steps were begun. */
  readonly begun: number;
  /** Indices of steps that their guest is, or was, asked to take back: what it says last is of that. */
  readonly back: ReadonlyArray<number>;
  readonly owner: Owner | undefined;
}

/** `text` is what the journal has under the key; undefined, and damaged, if it is not there. */
const decode = <A>(path: string, key: string, schema: Schema.ConstraintDecoder<A>, text: unknown) =>
  Schema.decodeUnknownEffect(schema)(text).pipe(
    Effect.mapError(({ message }) => new JournalDamaged({ path, detail: `${key}: ${message}` })),
  );

const readOwner = Effect.fnUntraced(function* (store: XenStoreOps, path: string) {
  const text = yield* readOptional(store, `${path}/owner`);
  return text === undefined ? undefined : yield* decode(path, "owner", OwnerText, text);
});

const readDomains = Effect.fnUntraced(function* (store: XenStoreOps, path: string) {
  const text = yield* readOptional(store, `${path}/domains`);
  return yield* decode(path, "domains", Schema.Array(DomainText), text?.split(" "));
});

const readOf = Effect.fnUntraced(function* (
  store: XenStoreOps,
  path: string,
  domains: ReadonlyArray<DomainId>,
) {
  const pieces = yield* Effect.forEach(
    (yield* listOptional(store, `${path}/steps`)).toSorted((a, b) => Number(a) - Number(b)),
    (piece) => store.read(`${path}/steps/${piece}`),
  );
  const begun = yield* readOptional(store, `${path}/begun`);
  const back = yield* listOptional(store, `${path}/back`);
  return {
    path,
    owner: yield* readOwner(store, path),
    domains,
    steps: yield* decode(path, "steps", StepsText, pieces.join("")),
    begun: yield* decode(path, "begun", Schema.FiniteFromString, begun),
    back: back.map(Number),
  } satisfies Journal;
});

const read = Effect.fnUntraced(function* (store: XenStoreOps, path: string) {
  const domains = yield* readDomains(store, path);
  return yield* Effect.mapError(readOf(store, path, domains), (error) =>
    error instanceof JournalDamaged
      ? new JournalDamaged({ path, detail: error.detail, domains })
      : error,
  );
});

/** Every change that is not committed, or why its journal can't be read. */
export const journals = Effect.gen(function* () {
  const store = yield* XenStore;
  if ((yield* listOptional(store, root)).length === 0) return [];
  return yield* store.transaction((transaction) =>
    Effect.flatMap(
      listOptional(transaction, root),
      Effect.forEach((name) =>
        read(transaction, `${root}/${name}`).pipe(
          Effect.map(Result.succeed),
          Effect.catchTag("JournalDamaged", (damaged) => Effect.succeed(Result.fail(damaged))),
        ),
      ),
    ),
  );
}).pipe(Effect.withSpan("Journal.journals"));

/** The change that holds one of the domains, if there is one. */
const holder = Effect.fnUntraced(function* (store: XenStoreOps, domains: ReadonlyArray<DomainId>) {
  const names = yield* listOptional(store, root);
  for (const name of names) {
    const path = `${root}/${name}`;
    const held = (yield* readDomains(store, path)).find((domain) => domains.includes(domain));
    if (held !== undefined) return { path, domain: held, owner: yield* readOwner(store, path) };
  }
  return { next: 1 + Math.max(0, ...names.map(Number).filter(Number.isSafeInteger)) };
});

/**
 * Writes the journal of a change, or answers the path of one that holds a
 * domain and that nobody works on. `ChangeInProgress` if somebody does.
 */
export const open = Effect.fn("Journal.open")(function* (
  domains: ReadonlyArray<DomainId>,
  steps: ReadonlyArray<Step>,
) {
  const store = yield* XenStore;
  const controller = yield* Controller;
  const text = yield* Effect.orDie(Schema.encodeEffect(StepsText)(steps));
  const owner = yield* Effect.orDie(Schema.encodeEffect(OwnerText)(controller.self));

  const found = yield* store.transaction(
    Effect.fnUntraced(function* (transaction) {
      const held = yield* holder(transaction, domains);
      if (!("next" in held)) return held;
      const path = `${root}/${held.next}`;
      yield* transaction.write(path, "");
      yield* transaction.setPermissions(path, [{ domain: 0, access: "none" }]);
      yield* transaction.write(`${path}/owner`, owner);
      yield* transaction.write(`${path}/domains`, domains.join(" "));
      yield* transaction.write(`${path}/begun`, "0");
      for (let at = 0; at < text.length; at += pieceLength) {
        const piece = text.slice(at, at + pieceLength);
        yield* transaction.write(`${path}/steps/${at / pieceLength}`, piece);
      }
      return path;
    }),
  );
  if (typeof found === "string") return { opened: found };
  const { domain, owner: holds, path } = found;
  if (holds !== undefined && (yield* controller.liveness(holds)) !== "gone") {
    return yield* new ChangeInProgress({ domain, owner: holds });
  }
  return { stale: path };
});

/** Records that the first `count` steps are begun, before the last of them is. */
export const begin = Effect.fnUntraced(function* (path: string, count: number) {
  const store = yield* XenStore;
  yield* store.write(`${path}/begun`, String(count));
});

/** Records that the guest of a step is asked for its inverse, before it is. */
export const goBack = Effect.fnUntraced(function* (path: string, index: number) {
  const store = yield* XenStore;
  yield* store.write(`${path}/back/${index}`, "");
});

/** Commits the change: nothing is to be undone any more. */
export const close = Effect.fnUntraced(function* (path: string) {
  const store = yield* XenStore;
  yield* store.remove(path);
});

/** Gives up the change without committing it, so that somebody else can undo it. */
export const abandon = Effect.fnUntraced(function* (path: string) {
  const store = yield* XenStore;
  yield* store.remove(`${path}/owner`);
});

/**
 * Makes this process the owner of a change that nobody works on. Undefined if
 * somebody else was first, or has undone it meanwhile.
 */
export const takeOver = Effect.fn("Journal.takeOver")(function* (path: string) {
  const store = yield* XenStore;
  const controller = yield* Controller;
  const owner = yield* Effect.orDie(Schema.encodeEffect(OwnerText)(controller.self));
  return yield* store.transaction(
    Effect.fnUntraced(function* (transaction) {
      if ((yield* readOptional(transaction, path)) === undefined) return undefined;
      const journal = yield* read(transaction, path);
      if (journal.owner !== undefined && (yield* controller.liveness(journal.owner)) !== "gone") {
        return undefined;
      }
      yield* transaction.write(`${path}/owner`, owner);
      return journal;
    }),
  );
});
