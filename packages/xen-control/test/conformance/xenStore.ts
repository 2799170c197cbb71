/**
 * What every `XenStore` with dom0's credentials must do. Each case works in a
 * directory of its own, `scratch`, and leaves nothing behind.
 */
import { expect, test } from "@jest/globals";
import { Effect, Exit, Fiber, Latch, type Layer, Ref, Stream } from "effect";
import { XenStore, XenStoreError, type XenStoreOps } from "../../src/index.ts";

/** Runs the suite against a layer; `scratch` is a path that it may fill and remove. */
export const xenStoreConformance = (
  name: string,
  layer: Layer.Layer<XenStore, unknown>,
  scratch: string,
): void => {
  const check = <E>(what: string, body: (store: XenStore["Service"]) => Effect.Effect<void, E>) => {
    test(`${name}: ${what}`, async () => {
      const program = Effect.flatMap(XenStore, (store) => {
        const clear = Effect.ignore(store.remove(scratch));
        return Effect.andThen(clear, body(store)).pipe(Effect.ensuring(clear));
      });
      await Effect.runPromise(Effect.provide(program, layer));
    });
  };

  const errnoOf = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<string> =>
    Effect.match(effect, {
      onSuccess: () => "success",
      onFailure: (error) => (error instanceof XenStoreError ? error.errno : String(error)),
    });

  const at = (key: string): string => `${scratch}/${key}`;

  /** Sees the registration event, runs `act`, and answers the events up to `until`. */
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
        Effect.timeout("5 seconds"),
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
      expect(yield* store.read(at("b/c"))).toBe("deep");
      expect(yield* store.read(at("a"))).toBe("");
      expect(yield* store.read(at("b"))).toBe("replaced");
      expect(yield* store.read(scratch)).toBe("");
      expect(yield* store.list(scratch)).toEqual(["a", "b"]);
      expect(yield* store.list(at("a"))).toEqual([]);
    }),
  );

  check("keeps text beyond ASCII, spaces and line ends", (store) =>
    Effect.gen(function* () {
      const value = "µ – ü\n\ttab  ";
      yield* store.write(at("text"), value);
      expect(yield* store.read(at("text"))).toBe(value);
    }),
  );

  check("names what is absent ENOENT", (store) =>
    Effect.gen(function* () {
      expect(yield* errnoOf(store.read(at("absent")))).toBe("ENOENT");
      expect(yield* errnoOf(store.list(at("absent")))).toBe("ENOENT");
      expect(yield* errnoOf(store.permissions(at("absent")))).toBe("ENOENT");
      const permissions = [{ domain: 0, access: "none" }] as const;
      expect(yield* errnoOf(store.setPermissions(at("absent"), permissions))).toBe("ENOENT");
    }),
  );

  check("removes a whole tree; again is no error where the parent exists", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("x/y/z"), "1");
      yield* store.write(at("x/other"), "2");
      yield* store.remove(at("x"));
      expect(yield* errnoOf(store.read(at("x/y/z")))).toBe("ENOENT");
      expect(yield* store.list(scratch)).toEqual([]);
      yield* store.remove(at("x"));
      expect(yield* errnoOf(store.remove(at("x/y/z")))).toBe("ENOENT");
      expect(yield* errnoOf(store.remove("/"))).toBe("EINVAL");
    }),
  );

  check("refuses malformed paths with EINVAL", (store) =>
    Effect.gen(function* () {
      const long = at("a".repeat(2049));
      for (const path of [at(""), at("a//b"), at("a b"), at("ü"), at("a\u0001"), at("a.b"), long]) {
        expect([path, yield* errnoOf(store.write(path, "x"))]).toEqual([path, "EINVAL"]);
        expect([path, yield* errnoOf(store.read(path))]).toEqual([path, "EINVAL"]);
      }
      expect(yield* store.list(at("a")).pipe(errnoOf)).toBe("ENOENT");
    }),
  );

  check("holds no NUL in a path, whatever follows it", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("safe"), "1");
      expect(yield* errnoOf(store.write(`${at("safe")}\u0000/evil`, "2"))).toBe("EINVAL");
      expect(yield* store.read(at("safe"))).toBe("1");
    }),
  );

  check("takes values up to a message's size and refuses larger ones with E2BIG", (store) =>
    Effect.gen(function* () {
      const room = 4096 - at("big").length - 1;
      yield* store.write(at("big"), "x".repeat(room));
      expect((yield* store.read(at("big"))).length).toBe(room);
      expect(yield* errnoOf(store.write(at("big"), "x".repeat(room + 1)))).toBe("E2BIG");
      expect((yield* store.read(at("big"))).length).toBe(room);
    }),
  );

  check("lists more children than one message holds", (store) =>
    Effect.gen(function* () {
      const names = Array.from({ length: 400 }, (_, i) => `child-with-a-long-name-${1000 + i}`);
      yield* store.transaction((t) =>
        Effect.forEach(names, (child) => t.write(at(`many/${child}`), ""), { discard: true }),
      );
      expect(yield* store.list(at("many"))).toEqual(names);
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
      expect(yield* store.permissions(at("p"))).toEqual(wanted);
      yield* store.write(at("p/child"), "");
      expect(yield* store.permissions(at("p/child"))).toEqual(wanted);
      expect(yield* errnoOf(store.setPermissions(at("p"), []))).toBe("EINVAL");
    }),
  );

  check("a transaction is seen whole or not at all", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("kept"), "before");
      yield* store.transaction((t) =>
        Effect.gen(function* () {
          yield* t.write(at("one"), "1");
          yield* t.write(at("kept"), "after");
          expect(yield* t.read(at("one"))).toBe("1");
          expect(yield* t.list(scratch)).toEqual(["kept", "one"]);
          expect(yield* errnoOf(store.read(at("one")))).toBe("ENOENT");
          expect(yield* store.read(at("kept"))).toBe("before");
        }),
      );
      expect(yield* store.read(at("one"))).toBe("1");
      expect(yield* store.read(at("kept"))).toBe("after");
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
      expect(Exit.isFailure(failed)).toBe(true);
      const reached = Latch.makeUnsafe();
      const fiber = yield* Effect.forkChild(
        store.transaction((t) =>
          spoil(t).pipe(Effect.andThen(reached.open), Effect.andThen(Effect.never)),
        ),
      );
      yield* reached.await;
      yield* Fiber.interrupt(fiber);
      expect(yield* store.read(at("kept"))).toBe("before");
      expect(yield* store.list(scratch)).toEqual(["kept"]);
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
      expect(runs).toBe(3);
      expect(yield* store.read(at("n"))).toBe("22");
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
      expect([runs, yield* store.read(at("seen"))]).toEqual([2, "success"]);
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
      expect(outcome).toBe("EAGAIN");
      expect(runs).toBeGreaterThan(3);
      expect(runs).toBeLessThan(100);
      expect(yield* store.list(scratch)).toEqual(["n"]);
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
      expect(yield* store.read(at("n"))).toBe("6");
    }),
  );

  check("a watch tells of its registration, its node and what is below", (store) =>
    Effect.gen(function* () {
      const act = Effect.gen(function* () {
        yield* store.write(at("w/deep/leaf"), "1");
        yield* store.write(at("elsewhere"), "1");
        yield* store.remove(at("w/deep"));
        yield* store.write(at("w/end"), "1");
      });
      const events = yield* eventsOf(store, at("w"), act, at("w/end"));
      expect(events[0]).toBe(at("w"));
      expect(events).toContain(at("w/deep/leaf"));
      expect(events).toContain(at("w/deep"));
      expect(events).not.toContain(at("elsewhere"));
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
        Effect.timeout("5 seconds"),
      );
      expect(seen).toEqual([leaf, leaf]);
    }),
  );

  check("a watch sees a transaction only once it is committed, and never an aborted one", (store) =>
    Effect.gen(function* () {
      const act = Effect.gen(function* () {
        yield* Effect.ignore(
          store.transaction((t) => Effect.andThen(t.write(at("w/no"), "1"), Effect.fail("no"))),
        );
        yield* store.transaction((t) => t.write(at("w/yes"), "1"));
        yield* store.write(at("w/end"), "1");
      });
      const events = yield* eventsOf(store, at("w"), act, at("w/end"));
      expect(events).toContain(at("w/yes"));
      expect(events).not.toContain(at("w/no"));
    }),
  );

  check("a watch tells of new permissions", (store) =>
    Effect.gen(function* () {
      yield* store.write(at("w/p"), "1");
      const act = store.setPermissions(at("w/p"), [{ domain: 0, access: "read" }]);
      expect(yield* eventsOf(store, at("w"), act, at("w/p"))).toEqual([at("w"), at("w/p")]);
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
        Effect.timeout("10 seconds"),
        Effect.forkChild,
      );
      yield* registered.await;
      for (let i = 0; i <= last; i++) yield* store.write(at("w"), String(i));
      yield* Fiber.join(watcher);
      expect(yield* Ref.get(current)).toBe(last);
    }),
  );

  check("a malformed watch is refused", (store) =>
    Effect.gen(function* () {
      expect(yield* errnoOf(Stream.runHead(store.watch(at("a//b"))))).toBe("EINVAL");
    }),
  );
};
