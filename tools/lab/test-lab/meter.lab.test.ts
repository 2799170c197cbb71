/**
 * The NUMA meter against known truth, on machines of its own: plain Linux, and a PVH guest on Xen. `npm run lab:meter` does the same, longer.
 */
import { expect, it } from "@jest/globals";
import { Effect } from "effect";
import { walkerOnly, walkPairs } from "../src/meter/KnownTruth.ts";
import * as PlainLinux from "../src/meter/PlainLinux.ts";
import * as PvhGuest from "../src/meter/PvhGuest.ts";
import * as Shape from "../src/Shape.ts";

const size = { mib: 4, passes: 2 };

it("the meter counts the misses of each pair of nodes in its cell", async () => {
  const check = Effect.gen(function* () {
    const shape = yield* Shape.make({ nodes: 4, cpus: 4, memory: "2560M" });
    const machine = yield* PlainLinux.boot(shape, walkerOnly);
    return yield* walkPairs(shape.nodes, machine.socket, size, (from, to) =>
      machine.walk(from, to, size.mib, size.passes),
    );
  });
  const walked = await Effect.runPromise(Effect.scoped(check));
  expect(walked).toHaveLength(16);
  expect(walked.filter(({ good }) => !good)).toEqual([]);
}, 300_000);

it("in a PVH guest on Xen, too, and there nothing but the chosen guest", async () => {
  const { others, walked } = await Effect.runPromise(
    Effect.scoped(PvhGuest.check(size, () => Effect.void)),
  );
  expect(walked).toHaveLength(16);
  expect(walked.filter(({ good }) => !good)).toEqual([]);
  expect(others).toBe(0);
}, 900_000);
