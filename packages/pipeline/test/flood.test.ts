/** A guest that writes its status without end costs the host a bounded number of looks. */
import { expect, test } from "@jest/globals";
import { NumaKeys } from "@virtflex/topo-model";
import { XenStore } from "@virtflex/xen-control";
import { Clock, Effect } from "effect";
import { apply } from "../src/index.ts";
import { hostLayer, obedient, runGuest, shrinkPlan } from "./support.ts";

const writes = 20_000;

test(
  `${writes} writes are read about 100 times a second, and the change they delay is done`,
  () =>
    Effect.gen(function* () {
      const store = yield* XenStore;
      let looks = 0;
      let flooded = 0;
      const counting = XenStore.of({
        ...store,
        read: (path) => {
          if (path.endsWith(NumaKeys.path.state)) looks += 1;
          return store.read(path);
        },
      });
      yield* runGuest((scripted) =>
        Effect.gen(function* () {
          for (; flooded < writes; flooded++) {
            yield* Effect.orDie(scripted.store.write(NumaKeys.path.generation, String(flooded)));
            // The host's fibers run between any two of them.
            yield* Effect.yieldNow;
          }
          yield* obedient(scripted);
        }),
      );
      const began = yield* Clock.currentTimeMillis;
      yield* apply(shrinkPlan, { deadline: "2 minutes", onProgress: () => Effect.void }).pipe(
        Effect.provideService(XenStore, counting),
      );
      const seconds = ((yield* Clock.currentTimeMillis) - began) / 1000;
      expect(flooded).toBe(writes);
      expect(looks).toBeGreaterThan(0);
      // A burst of 100, then 100 a second.
      expect(looks).toBeLessThanOrEqual(101 + 100 * seconds);
    }).pipe(Effect.provide(hostLayer), Effect.scoped, Effect.runPromise),
  180_000,
);
