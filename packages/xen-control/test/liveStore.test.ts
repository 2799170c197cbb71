/**
 * The live XenStore against Debian's C xenstored.
 *
 * @jest-environment ./test/XenstoredEnvironment.ts
 */
import { expect, test } from "@jest/globals";
import { Effect, Fiber, Latch, Stream } from "effect";
import { XenStore } from "../src/index.ts";
import * as Live from "../src/live/index.ts";
import { xenStoreCases } from "./conformance/xenStore.ts";
import { conforms } from "./conforms.ts";
import { until } from "./served.ts";

declare const restartXenstored: () => Promise<void>;

conforms("xenstored", Live.layer, xenStoreCases("/conformance"));

const run = <A, E>(body: Effect.Effect<A, E, XenStore>): Promise<A> =>
  Effect.runPromise(Effect.provide(body, Live.layer));

// Not among the suite's cases: where the layer fails at it, a host loses every domain's keys.
test("the root is not removed", () =>
  run(
    Effect.gen(function* () {
      const store = yield* XenStore;
      yield* store.write("/root/key", "kept");
      expect(yield* Effect.flip(store.remove("/"))).toMatchObject({ errno: "EINVAL" });
      expect(yield* store.read("/root/key")).toBe("kept");
    }),
  ));

test("watches survive a restart of xenstored, and say that there is something to read", () =>
  run(
    Effect.gen(function* () {
      const store = yield* XenStore;
      yield* store.write("/restart/key", "before");
      const seen: Array<string> = [];
      const registered = Latch.makeUnsafe();
      const watcher = yield* Effect.forkChild(
        Stream.runForEach(store.watch("/restart"), (event) => {
          seen.push(event);
          return registered.open;
        }),
      );
      yield* registered.await;
      const before = seen.length;
      yield* Effect.promise(restartXenstored);
      yield* until(
        Effect.sync(() => seen.length),
        (length) => length > before,
      );
      // What was not there any more can be written again, and the watch sees it.
      yield* store.write("/restart/key", "after");
      yield* until(
        Effect.sync(() => seen),
        (events) => events.includes("/restart/key"),
      );
      expect(yield* store.read("/restart/key")).toBe("after");
      yield* Fiber.interrupt(watcher);
    }),
  ));
