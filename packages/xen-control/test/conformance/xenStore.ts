/**
 * What every `XenStore` with dom0's credentials must do. Each case works in a
 * directory of its own, `scratch`, and leaves nothing behind.
 */
import assert from "node:assert/strict";
import { Effect, Exit, Fiber, Latch, Ref, Stream } from "effect";
import { XenStore, XenStoreError, type XenStoreOps } from "../../src/index.ts";
import type { Case } from "./Case.ts";

/** The cases; `scratch` is a path that they may fill and remove. */
export const xenStoreCases = (scratch: string): ReadonlyArray<Case<XenStore>> => {
  const cases: Array<Case<XenStore>> = [];
  const check = <E>(what: string, body: (store: XenStore["Service"]) => Effect.Effect<void, E>) => {
    cases.push({
      what,
      run: Effect.flatMap(XenStore, (store) => {
        const clear = Effect.ignore(store.remove(scratch));
        return Effect.andThen(clear, body(store)).pipe(Effect.ensuring(clear));
      }),
    });
  };

  const errnoOf = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<string> =>
    Effect.match(effect, {
      onSuccess: () => "success",
      onFailure: (error) => (error instanceof XenStoreError ? error.errno : String(error)),
    });

  const at = (key: string): string => `${scratch}/${key}`;

  /**
   * Sees the registration event, runs `act`, and answers the events up to `until`. Those that come
   * together need not be in the order of time; the live layer sorts them, so `until` shall sort last.
   */
  const eventsOf = <E>(
    store: XenStore["Service"],
    path: string,
    act: Effect.Effect<unknown, E>,
    until: string,
  ) =>
    Effect.gen(function* () {
      const registered = Latch.makeUnsafe();
      const events = yield* Ref.make<ReadonlyArray<string>>([]);
      const fiber = yield* store.watch(path).pipe(
        Stream.tap((event) =>
          Effect.andThen(
            Ref.update(events, (seen) => [...seen, event]),
            registered.open,
          ),
        ),
        Stream.takeUntil((event) => event === until),
        Stream.runDrain,
        Effect.timeout("1 minute"),
        Effect.forkChild,
      );
      yield* registered.await;
      yield* act;
      yield* Fiber.join(fiber);
      return yield* Ref.get(events);
    });

  check("reads what was written, and lists in order", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("b/c"), "deep");
      yield* store.write(at("a"), "");
      yield* store.write(at("b"), "replaced");
      assert.strictEqual(yield* store.read(at("b/c")), "deep");
      assert.strictEqual(yield* store.read(at("a")), "");
      assert.strictEqual(yield* store.read(at("b")), "replaced");
      assert.strictEqual(yield* store.read(scratch), "");
      assert.deepStrictEqual(yield* store.list(scratch), ["a", "b"]);
      assert.deepStrictEqual(yield* store.list(at("a")), []);
    }),
  );

  check("keeps text beyond ASCII, spaces and line ends", (store) =>
    Effect.gen(function* () {
      const value = "µ – ü\n\ttab  ";
      yield* store.write(at("text"), value);
      assert.strictEqual(yield* store.read(at("text")), value);
    }),
  );

  check("names what is absent ENOENT", (store) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* errnoOf(store.read(at("absent"))), "ENOENT");
      assert.strictEqual(yield* errnoOf(store.list(at("absent"))), "ENOENT");
      assert.strictEqual(yield* errnoOf(store.permissions(at("absent"))), "ENOENT");
      const permissions = [{ domain: 0, access: "none" }] as const;
      assert.strictEqual(yield* errnoOf(store.setPermissions(at("absent"), permissions)), "ENOENT");
    }),
  );

  check("removes a whole tree; again is no error where the parent exists", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("x/y/z"), "1");
      yield* store.write(at("x/other"), "2");
      yield* store.remove(at("x"));
      assert.strictEqual(yield* errnoOf(store.read(at("x/y/z"))), "ENOENT");
      assert.deepStrictEqual(yield* store.list(scratch), []);
      yield* store.remove(at("x"));
      assert.strictEqual(yield* errnoOf(store.remove(at("x/y/z"))), "ENOENT");
    }),
  );

  check("refuses malformed paths with EINVAL", (store) =>
    Effect.gen(function* () {
      const long = at("a".repeat(2049));
      for (const path of [at(""), at("a//b"), at("a b"), at("ü"), at("a\u0001"), at("a.b"), long]) {
        assert.deepStrictEqual([path, yield* errnoOf(store.write(path, "x"))], [path, "EINVAL"]);
        assert.deepStrictEqual([path, yield* errnoOf(store.read(path))], [path, "EINVAL"]);
      }
      assert.strictEqual(yield* store.list(at("a")).pipe(errnoOf), "ENOENT");
    }),
  );

  check("holds no NUL in a path, whatever follows it", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("safe"), "1");
      assert.strictEqual(yield* errnoOf(store.write(`${at("safe")}\u0000/evil`, "2")), "EINVAL");
      assert.strictEqual(yield* store.read(at("safe")), "1");
    }),
  );

  check("takes values of 2,048 bytes, and refuses with E2BIG what no message holds", (store) =>
    Effect.gen(function* () {
      // Of what is between, C's xenstored takes all, oxenstored none (quota-maxsize).
      yield* store.write(at("big"), "x".repeat(2048));
      assert.strictEqual((yield* store.read(at("big"))).length, 2048);
      const room = 4096 - at("big").length - 1;
      assert.strictEqual(yield* errnoOf(store.write(at("big"), "x".repeat(room + 1))), "E2BIG");
      assert.strictEqual((yield* store.read(at("big"))).length, 2048);
    }),
  );

  check("lists more children than one message holds, or says E2BIG and works on", (store) =>
    Effect.gen(function* () {
      const names = Array.from({ length: 400 }, (_, i) => `child-with-a-long-name-${1000 + i}`);
      yield* store.transaction((t) =>
        Effect.forEach(names, (child) => t.write(at(`many/${child}`), ""), { discard: true }),
      );
      const refused = yield* Effect.match(store.list(at("many")), {
        onSuccess: (listed) => {
          assert.deepStrictEqual(listed, names);
          return "";
        },
        onFailure: (error) => (error instanceof XenStoreError ? error.errno : String(error)),
      });
      assert.ok(["", "E2BIG"].includes(refused), refused);
      assert.deepStrictEqual(yield* store.list(scratch), ["many"]);
    }),
  );

  check("hands permissions down and changes them", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("p"), "");
      const wanted = [
        { domain: 0, access: "none" },
        { domain: 7, access: "read" },
        { domain: 9, access: "both" },
        { domain: 11, access: "write" },
      ] as const;
      yield* store.setPermissions(at("p"), wanted);
      assert.deepStrictEqual(yield* store.permissions(at("p")), wanted);
      yield* store.write(at("p/child"), "");
      assert.deepStrictEqual(yield* store.permissions(at("p/child")), wanted);
      assert.strictEqual(yield* errnoOf(store.setPermissions(at("p"), [])), "EINVAL");
    }),
  );

  check("a transaction is seen whole or not at all", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("kept"), "before");
      yield* store.transaction((t) =>
        Effect.gen(function* () {
          yield* t.write(at("one"), "1");
          yield* t.write(at("kept"), "after");
          assert.strictEqual(yield* t.read(at("one")), "1");
          assert.deepStrictEqual(yield* t.list(scratch), ["kept", "one"]);
          assert.strictEqual(yield* errnoOf(store.read(at("one"))), "ENOENT");
          assert.strictEqual(yield* store.read(at("kept")), "before");
        }),
      );
      assert.strictEqual(yield* store.read(at("one")), "1");
      assert.strictEqual(yield* store.read(at("kept")), "after");
    }),
  );

  check("a transaction that fails or is interrupted leaves nothing", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("kept"), "before");
      const spoil = (t: XenStoreOps) =>
        Effect.andThen(t.write(at("kept"), "after"), t.write(at("new"), "1"));
      const failed = yield* Effect.exit(
        store.transaction((t) => Effect.andThen(spoil(t), Effect.fail("no"))),
      );
      assert.strictEqual(Exit.isFailure(failed), true);
      const reached = Latch.makeUnsafe();
      const fiber = yield* Effect.forkChild(
        store.transaction((t) =>
          spoil(t).pipe(Effect.andThen(reached.open), Effect.andThen(Effect.never)),
        ),
      );
      yield* reached.await;
      yield* Fiber.interrupt(fiber);
      assert.strictEqual(yield* store.read(at("kept")), "before");
      assert.deepStrictEqual(yield* store.list(scratch), ["kept"]);
    }),
  );

  check("a transaction whose reads have become stale runs anew", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("n"), "1");
      let runs = 0;
      yield* store.transaction((t) =>
        Effect.gen(function* () {
          const n = Number(yield* t.read(at("n")));
          runs += 1;
          if (runs < 3) yield* store.write(at("n"), String(n + 10));
          yield* t.write(at("n"), String(n + 1));
        }),
      );
      assert.strictEqual(runs, 3);
      assert.strictEqual(yield* store.read(at("n")), "22");
    }),
  );

  check("a transaction that saw a node absent conflicts with who made it", (store) =>
    Effect.gen(function* () {
      yield* store.write(scratch, "");
      let runs = 0;
      yield* store.transaction((t) =>
        Effect.gen(function* () {
          runs += 1;
          const seen = yield* errnoOf(t.read(at("flag")));
          if (runs === 1) yield* store.write(at("flag"), "x");
          yield* t.write(at("seen"), seen);
        }),
      );
      assert.deepStrictEqual([runs, yield* store.read(at("seen"))], [2, "success"]);
    }),
  );

  check("a transaction that always conflicts ends with EAGAIN", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("n"), "0");
      let runs = 0;
      const outcome = yield* errnoOf(
        store.transaction((t) =>
          Effect.gen(function* () {
            runs += 1;
            yield* t.read(at("n"));
            yield* store.write(at("n"), String(runs));
            yield* t.write(at("m"), "x");
          }),
        ),
      );
      assert.strictEqual(outcome, "EAGAIN");
      assert.ok(runs > 3);
      assert.ok(runs < 100);
      assert.deepStrictEqual(yield* store.list(scratch), ["n"]);
    }),
  );

  check("concurrent counters lose no increment", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("n"), "0");
      const increment = store.transaction((t) =>
        Effect.flatMap(t.read(at("n")), (n) => t.write(at("n"), String(Number(n) + 1))),
      );
      yield* Effect.forEach(Array.from({ length: 6 }), () => increment, {
        concurrency: "unbounded",
        discard: true,
      });
      assert.strictEqual(yield* store.read(at("n")), "6");
    }),
  );

  check("a watch tells of its registration, its node and what is below", (store) =>
    Effect.gen(function* () {
      const act = Effect.gen(function* () {
        yield* store.write(at("w/deep/leaf"), "1");
        yield* store.write(at("elsewhere"), "1");
        yield* store.remove(at("w/deep"));
        yield* store.write(at("w/zz-end"), "1");
      });
      const events = yield* eventsOf(store, at("w"), act, at("w/zz-end"));
      assert.strictEqual(events[0], at("w"));
      assert.ok(events.includes(at("w/deep/leaf")));
      assert.ok(events.includes(at("w/deep")));
      assert.ok(!events.includes(at("elsewhere")));
    }),
  );

  check("a watch tells that its node vanished with an ancestor", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("gone/a/b"), "1");
      const leaf = at("gone/a/b");
      let first = true;
      const seen = yield* store.watch(leaf).pipe(
        Stream.tap(() => {
          const act = first ? store.remove(at("gone")) : Effect.void;
          first = false;
          return act;
        }),
        Stream.take(2),
        Stream.runCollect,
        Effect.timeout("1 minute"),
      );
      assert.deepStrictEqual(seen, [leaf, leaf]);
    }),
  );

  check("a watch sees a transaction only once it is committed, and never an aborted one", (store) =>
    Effect.gen(function* () {
      const act = Effect.gen(function* () {
        yield* Effect.ignore(
          store.transaction((t) => Effect.andThen(t.write(at("w/no"), "1"), Effect.fail("no"))),
        );
        yield* store.transaction((t) => t.write(at("w/yes"), "1"));
        yield* store.write(at("w/zz-end"), "1");
      });
      const events = yield* eventsOf(store, at("w"), act, at("w/zz-end"));
      assert.ok(events.includes(at("w/yes")));
      assert.ok(!events.includes(at("w/no")));
    }),
  );

  check("a watch tells of new permissions", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("w/p"), "1");
      const act = store.setPermissions(at("w/p"), [{ domain: 0, access: "read" }]);
      assert.deepStrictEqual(yield* eventsOf(store, at("w"), act, at("w/p")), [at("w"), at("w/p")]);
    }),
  );

  check("a slow watcher loses nothing", (store) =>
    Effect.gen(function* () {
      const last = 300;
      const current = yield* Ref.make(-1);
      const registered = Latch.makeUnsafe();
      const watcher = yield* store.watch(at("w")).pipe(
        Stream.tap(() =>
          Effect.gen(function* () {
            yield* registered.open;
            yield* Effect.sleep("2 millis");
            const value = yield* Effect.orElseSucceed(store.read(at("w")), () => "-1");
            yield* Ref.set(current, Number(value));
          }),
        ),
        Stream.takeUntilEffect(() => Effect.map(Ref.get(current), (value) => value === last)),
        Stream.runDrain,
        Effect.timeout("1 minute"),
        Effect.forkChild,
      );
      yield* registered.await;
      for (let i = 0; i <= last; i++) yield* store.write(at("w"), String(i));
      yield* Fiber.join(watcher);
      assert.strictEqual(yield* Ref.get(current), last);
    }),
  );

  check("a malformed watch is refused", (store) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* errnoOf(Stream.runHead(store.watch(at("a//b")))), "EINVAL");
    }),
  );
  return cases;
};
