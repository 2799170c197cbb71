/**
 * From what an operator wishes to a plan, and a plan in words.
 */
import {
  costOfStep,
  type DomainId,
  formatBytes,
  type Guest,
  type Host,
  type Plan,
  parseTopology,
  plan as planChanges,
} from "@virtflex/topo-model";
import { Effect, FileSystem } from "effect";
import type { Wish } from "./Changes.ts";
import { findGuest } from "./Domains.ts";
import { table } from "./Output.ts";
import { stepText } from "./StepText.ts";
import { UsageError } from "./UsageError.ts";

/** One plan for all that is wished, on this host with these guests; vnodes of `makeRoom` may go elsewhere for it. */
export const planFor = Effect.fn("planFor")(function* (
  host: Host,
  guests: ReadonlyArray<Guest>,
  wishes: ReadonlyArray<Wish>,
  makeRoom: ReadonlyArray<DomainId>,
) {
  const changes = yield* Effect.forEach(wishes, ({ domain, changeOf }) =>
    Effect.flatMap(
      findGuest(
        guests.map((guest) => ({ guest })),
        domain,
      ),
      ({ guest }) => changeOf(guest.domain),
    ),
  );
  return yield* Effect.fromResult(planChanges(host, guests, changes, { makeRoom }));
});

/** A host and its guests from a JSON file. */
export const readTopology = Effect.fn("readTopology")(function* (file: string) {
  const fs = yield* FileSystem.FileSystem;
  return yield* Effect.flatMap(fs.readFileString(file), (text) =>
    Effect.fromResult(parseTopology(text)),
  ).pipe(
    Effect.mapError(
      ({ message }) => new UsageError({ code: "BAD_FILE", what: file, detail: message }),
    ),
  );
});

const seconds = (value: number) =>
  value < 1 ? `${(value * 1000).toFixed(1)} ms` : `${value.toFixed(2)} s`;

export const planText = ({ steps, cost }: Plan): string => {
  const rows = steps.map((step, index) => {
    const { seconds: takes } = costOfStep(step);
    return [index + 1, stepText(step), takes === 0 ? "" : seconds(takes)];
  });
  return [
    table(["#", "STEP", "ESTIMATE"], rows),
    "",
    `Moves ${formatBytes(cost.bytes)} (${cost.superpages} superpages, ${cost.smallPages} small pages), ` +
      `about ${seconds(cost.seconds)}`,
  ].join("\n");
};
