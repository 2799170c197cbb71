/**
 * Changes while something goes wrong, a few of those that `npm run bench -- faults` draws. What must hold after each is in `whole/Faults.ts`.
 */
import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { onLab } from "../src/Testing.ts";
import { type Fault, runAll, scenarioOf } from "../src/whole/Faults.ts";

/** The seed that draws each, and the status of a `virtflex` that it met. */
const seeds: ReadonlyArray<readonly [number, Fault, number]> = [
  [37, "pnode filled by another guest", 4],
  [29, "controller killed", 137],
  [30, "xenstored updated live", 0],
  [38, "program forks", 0],
  [25, "program never acknowledges", 0],
  [44, "guest destroyed", 4],
];

describe("a change in which something goes wrong", () => {
  it(
    "ends in the state before or the state after, and nothing is lost",
    onLab(function* (lab) {
      const scenarios = seeds.map(([seed]) => scenarioOf(seed));
      const outcomes = yield* runAll(lab, scenarios, (outcome) =>
        Effect.sync(() => console.log(JSON.stringify(outcome))),
      );
      expect(outcomes.flatMap(({ seed, wrong }) => wrong.map((what) => ({ seed, what })))).toEqual(
        [],
      );
      expect(
        new Set(outcomes.map(({ seed, fault, status, struck }) => [seed, fault, status, struck])),
      ).toEqual(new Set(seeds.map((each) => [...each, true])));
    }),
    20 * 60_000,
  );
});
