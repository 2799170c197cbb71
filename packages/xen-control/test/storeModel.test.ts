/** Transactions of the embedded store, checked against running them one after another. */
import { expect, test } from "@jest/globals";
import { Effect, Result, Stream } from "effect";
import fc from "fast-check";
import { Store, type Connection, type Transaction } from "../src/embedded/Store.ts";
import type * as Tree from "../src/embedded/Tree.ts";
import { WatchEvents } from "../src/internal/WatchEvents.ts";

const paths = ["/m", "/m/a", "/m/b", "/m/a/c", "/m/a/c/d", "/m/b/e"];

type Operation =
  | { readonly kind: "read" | "list" | "remove"; readonly path: string }
  | { readonly kind: "write"; readonly path: string; readonly value: string };

type Act =
  | { readonly by: number; readonly operation: Operation }
  | { readonly by: number; readonly end: "commit" | "abort" };

const path = fc.constantFrom(...paths);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constantFrom("read" as const, "list" as const, "remove" as const), path }),
  fc.record({ kind: fc.constant("write" as const), path, value: fc.constantFrom("1", "2", "3") }),
);
const by = fc.nat(2);
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ by, operation }) },
  {
    weight: 1,
    arbitrary: fc.record({ by, end: fc.constantFrom("commit" as const, "abort" as const) }),
  },
);

const perform = (on: Connection | Transaction, step: Operation): unknown => {
  const answer: Tree.Answer<unknown> =
    step.kind === "write" ? on.write(step.path, step.value) : on[step.kind](step.path);
  return Result.match(answer, { onSuccess: (value) => value ?? "done", onFailure: (e) => e });
};

const dump = (on: Connection): unknown =>
  paths.map((at) => [
    at,
    perform(on, { kind: "read", path: at }),
    perform(on, { kind: "list", path: at }),
  ]);

test("what is committed is what running it alone, in the order of the commits, gives", () => {
  let commits = 0;
  let conflicts = 0;
  fc.assert(
    fc.property(fc.array(act, { minLength: 20, maxLength: 80 }), (acts) => {
      const store = new Store(() => undefined);
      const connection = store.connect(0);
      const open = new Map<
        number,
        { transaction: Transaction; done: Array<[Operation, unknown]> }
      >();
      const serial = new Store(() => undefined).connect(0);
      for (const each of acts) {
        // Client 0 works outside transactions, the others in theirs.
        if (each.by === 0) {
          if ("operation" in each) {
            expect(perform(connection, each.operation)).toEqual(perform(serial, each.operation));
          }
          continue;
        }
        let current = open.get(each.by);
        if (current === undefined) {
          current = { transaction: Result.getOrThrow(connection.begin()), done: [] };
          open.set(each.by, current);
        }
        if ("operation" in each) {
          current.done.push([each.operation, perform(current.transaction, each.operation)]);
          continue;
        }
        open.delete(each.by);
        if (each.end === "abort") {
          current.transaction.abort();
          continue;
        }
        const committed = current.transaction.commit();
        if (Result.isFailure(committed)) {
          expect(committed.failure).toBe("EAGAIN");
          conflicts += 1;
          continue;
        }
        commits += 1;
        for (const [step, seen] of current.done) expect(perform(serial, step)).toEqual(seen);
      }
      expect(dump(connection)).toEqual(dump(serial));
    }),
    { numRuns: 400 },
  );
  // The property says nothing unless both happened often.
  expect(commits).toBeGreaterThan(200);
  expect(conflicts).toBeGreaterThan(200);
});

test("a transaction conflicts only when something that it touched was changed", () => {
  const store = new Store(() => undefined);
  const connection = store.connect(0);
  connection.write("/m/a", "1");
  connection.write("/m/b", "1");
  const transaction = Result.getOrThrow(connection.begin());
  transaction.read("/m/a");
  transaction.write("/m/a", "2");
  connection.write("/m/b", "2");
  expect(Result.isSuccess(transaction.commit())).toBe(true);
  expect(transaction.commit()).toEqual(Result.fail("ENOENT"));
  expect(transaction.read("/m/a")).toEqual(Result.fail("ENOENT"));
});

test("nodes are counted to their owners, whoever made or removed them, and in transactions", () => {
  const store = new Store(() => undefined);
  const dom0 = store.connect(0);
  const guest = store.connect(5);
  dom0.write("/local/domain/5/data", "");
  dom0.setPermissions("/local/domain/5/data", [{ domain: 5, access: "none" }]);
  const fill = (): ReadonlyArray<string> => {
    const made: Array<string> = [];
    while (Result.isSuccess(guest.write(`data/new/${made.length}`, ""))) {
      made.push(`data/new/${made.length}`);
      if (made.length > 2000) break;
    }
    return made;
  };
  // The record of the directory's children is bounded too, so in two levels.
  let count = 0;
  for (let i = 0; i < 5; i++) {
    for (let j = 0; j < 250; j++) {
      if (Result.isSuccess(guest.write(`data/${i}/${j}`, ""))) count += 1;
    }
  }
  // `data` itself and its directories are nodes of the guest too.
  expect(count).toBe(1000 - 1 - 4);
  expect(fill()).toEqual([]);
  const transaction = Result.getOrThrow(guest.begin());
  expect(transaction.write("data/more", "")).toEqual(Result.fail("ENOSPC"));
  expect(Result.isSuccess(transaction.remove("data/0"))).toBe(true);
  expect(Result.isSuccess(transaction.write("data/more", ""))).toBe(true);
  expect(Result.isSuccess(transaction.commit())).toBe(true);
  expect(fill().length).toBeGreaterThan(200);
});

test("whoever floods the store costs a slow watcher no more than its bound", async () => {
  const events = new WatchEvents("/flooded");
  for (let i = 0; i < 100_000; i++) events.add(`/flooded/${i}`);
  const seen = await Effect.runPromise(
    Stream.runCollect(
      Stream.takeUntil(events.stream(Effect.void), (event) => event === "/flooded/99999"),
    ),
  );
  expect(seen.length).toBeLessThanOrEqual(1025);
  // What was dropped is covered by the watched path itself.
  expect(seen[0]).toBe("/flooded");
});
