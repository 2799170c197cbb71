import { expect, test } from "@jest/globals";
import { Clock, Effect, Fiber } from "effect";
import { TestClock } from "effect/testing";
import { WriteCredit } from "../src/embedded/WriteCredit.ts";

test("a guest writes a thousand times at once, then 200 times a second; another is not held up", () =>
  Effect.gen(function* () {
    const credit = new WriteCredit();
    const burst = Effect.replicateEffect(credit.spend(1), 1000, { discard: true });
    const began = yield* Clock.currentTimeMillis;
    yield* burst;
    expect(yield* Clock.currentTimeMillis).toBe(began);

    const next = yield* Effect.forkChild(Effect.replicateEffect(credit.spend(1), 3));
    for (let waited = 0; waited < 15; waited += 5) {
      yield* TestClock.adjust("4 millis");
      expect(next.pollUnsafe()).toBeUndefined();
      yield* TestClock.adjust("1 millis");
    }
    yield* Fiber.join(next);
    yield* credit.spend(2);
    expect(yield* Clock.currentTimeMillis).toBe(began + 15);

    yield* TestClock.adjust("5 seconds");
    yield* burst;
    expect(yield* Clock.currentTimeMillis).toBe(began + 5015);
  }).pipe(Effect.provide(TestClock.layer()), Effect.scoped, Effect.runPromise));
