/**
 * `virtflex demo`: everything at once, on this machine, in a minute.
 */
import { OmpProgram } from "@virtflex/omp-runtime-shim";
import { Effect, Schema } from "effect";
import { Command, Flag } from "effect/cli";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cgClasses } from "../demo/Cg.ts";
import { demonstrate, type DemoResult } from "../demo/Demo.ts";
import { print, table } from "../Output.ts";

/** The demonstration ran, and did not show what it is to show. */
export class DemoFailed extends Schema.TaggedError<DemoFailed>()("DemoFailed", {}) {
  readonly code = "DEMO_FAILED";
  override get message(): string {
    return "The demonstration did not come out as it should: see the table";
  }
}

const milliseconds = (ms: number | null) => (ms === null ? "never" : `${ms.toFixed(1)} ms`);

const resultText = ({ result, verified, repetitions, phases, timeline }: DemoResult): string =>
  [
    table(
      ["PHASE", "RESULT", "VNODES", "THREADS", "ON CPUS", "ACKNOWLEDGED", "TOOK"],
      phases.map((phase) => [
        phase.op,
        phase.result,
        `${phase.vnodesBefore} → ${phase.vnodesAfter}`,
        `${phase.threadsBefore} → ${phase.threadsAfter}`,
        `${phase.cpusBefore} → ${phase.cpusAfter}`,
        milliseconds(phase.adaptedMs),
        milliseconds(phase.elapsedMs),
      ]),
    ),
    ...phases.flatMap(({ reason }) => (reason === undefined ? [] : ["", reason])),
    "",
    `${result}: ${repetitions} repetitions of CG, each result ${verified ? "right" : "NOT right"}`,
    `timeline: ${timeline}`,
  ].join("\n");

export const demo = Command.make(
  "demo",
  {
    faults: Flag.Boolean("faults").pipe(
      Flag.withDescription("Then shrink a guest that never answers, and see it undone"),
      Flag.withDefault(false),
      Flag.withoutNegation,
    ),
    size: Flag.Literals("class", cgClasses).pipe(
      Flag.withDescription("Size of the benchmark: S, W or A, the largest"),
      Flag.withDefault("W"),
    ),
    timeline: Flag.String("timeline").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Where to write the timeline, an SVG"),
      Flag.withDefault(join(tmpdir(), "virtflex-demo.svg")),
    ),
  },
  Effect.fnUntraced(function* (options) {
    const result = yield* demonstrate(options).pipe(Effect.provide(OmpProgram.layer));
    yield* print(result, () => resultText(result));
    if (result.result === "failed") return yield* new DemoFailed();
  }),
).pipe(
  Command.withDescription("Shrink and expand a guest on this machine while a program runs in it"),
);
