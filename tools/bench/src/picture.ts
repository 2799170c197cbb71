/**
 * The README's picture, on stdout: an EPYC 7551P before and after its guest
 * gives vnodes 2 and 3 back, as the planner would have it.
 */
import { readFileSync } from "node:fs";
import {
  applySteps,
  DomainId,
  drawSvg,
  initialState,
  parseTopology,
  plan,
  VnodeId,
} from "@virtflex/topo-model";
import { Console, Effect } from "effect";

const bench = Effect.gen(function* () {
  const fixture = import.meta
    .resolve("@virtflex/topo-model/fixtures/epyc-7551p-4x16-guest-4x14.json");
  const before = yield* Effect.fromResult(
    parseTopology(readFileSync(new URL(fixture), { encoding: "utf8" })),
  );
  const vnodes = [2, 3].map((id) => VnodeId.make(id));
  const change = { _tag: "shrink", domain: DomainId.make(1), vnodes } as const;
  const { steps } = yield* Effect.fromResult(plan(before.host, before.guests, change));
  const after = yield* Effect.fromResult(applySteps(initialState(before), steps));
  yield* Console.log(drawSvg([before, after], { title: "virtflex shrink ubuntu --vnodes 2,3" }));
});

await Effect.runPromise(bench);
