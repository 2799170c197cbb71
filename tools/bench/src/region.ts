/**
 * What following adds to OpenMP constructs while nothing changes, for both
 * runtimes and 1 to N threads: the baseline is the runtime as Debian has it, run
 * in turn with ours. For libgomp there is a second one, Debian's source built as ours
 * is, as where a compiler puts code makes constructs differ, too. For libomp there are
 * two: a tool that asks for no event, as no tool can cost less; and one that is told of the
 * same events as ours and does nothing, as none that learns of them can. Where on the heap
 * the pool and a team are, makes some constructs of either a third slower or not, as CPUs
 * fetch cache lines in pairs, and malloc does more or less: each turn has them elsewhere.
 * Of all runs the fastest tenth is averaged, as other load and an unlucky place can only add.
 */
import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import * as NodeServices from "@effect/platform-node/NodeServices";
import { PagePublisher } from "@virtflex/guest-notify";
import { Effect } from "effect";
import {
  compile,
  type Environment,
  measure,
  publishPage,
  type Runtime,
  runtimes,
  scratch,
} from "./Program.ts";
import { type Figure, report } from "./Report.ts";

const turns = 41;
const args = ["41", "1000"];
/** Bytes by which the heap is longer from turn to turn: malloc's own step. */
const heapStep = 16;
const constructs = ["parallel", "for", "barrier", "task"];
const aim = (runtime: Runtime) =>
  runtime.baseline.endsWith("libgomp") ? "at most 1.005 ×" : "at most 1.03 ×";

interface Variant {
  readonly name: string;
  readonly environment: Environment;
}

/** What a runtime is compared with beside the one that Debian has: it tells what is whose. */
const othersOf = (
  runtime: Runtime,
  builtAlike: string,
  [idleTool, toldTool]: readonly [string, string],
): ReadonlyArray<Variant> =>
  "OMP_TOOL_LIBRARIES" in runtime.following
    ? [
        { name: "an idle tool", environment: { OMP_TOOL_LIBRARIES: idleTool } },
        { name: "a tool that is told", environment: { OMP_TOOL_LIBRARIES: toldTool } },
      ]
    : [{ name: "unpatched, built alike", environment: { LD_LIBRARY_PATH: builtAlike } }];

const oursOf = (runtime: Runtime, page: string): ReadonlyArray<Variant> => [
  { name: "without a page", environment: runtime.following },
  { name: "with a page", environment: { ...runtime.following, VIRTFLEX_TOPOLOGY: page } },
];

/** Debian's libgomp without our patches, built as ours is. */
const buildAlike = Effect.sync(() => {
  const script = join(import.meta.dirname, "../../../gcc-libgomp/build.sh");
  const lines = execFileSync(script, ["--stock"], { encoding: "utf8" }).trim().split("\n");
  return lines.at(-1) ?? "";
});

const fastestTenth = (values: ReadonlyArray<number> = []): number => {
  const tenth = [...values].sort((a, b) => a - b).slice(0, Math.ceil(values.length / 10));
  return tenth.reduce((sum, value) => sum + value, 0) / tenth.length;
};

const ofThreads = Effect.fnUntraced(function* (
  runtime: Runtime,
  program: string,
  others: ReadonlyArray<Variant>,
  ours: ReadonlyArray<Variant>,
  threads: number,
) {
  const debian: Variant = { name: runtime.baseline, environment: runtime.stock };
  const variants = [debian, ...others, ...ours];
  const samples = new Map<string, Array<number>>();
  for (let turn = 0; turn < turns; turn++) {
    // None is always the first.
    const first = turn % variants.length;
    for (const { name, environment } of [...variants.slice(first), ...variants.slice(0, first)]) {
      const measured = yield* measure(program, [...args, String(heapStep * (turn + 1))], {
        ...environment,
        OMP_NUM_THREADS: String(threads),
      });
      for (const [construct, value] of measured) {
        const key = `${construct}, ${name}`;
        samples.set(key, [...(samples.get(key) ?? []), value]);
      }
    }
  }
  const of = (construct: string, variant: string) =>
    fastestTenth(samples.get(`${construct}, ${variant}`));
  const figure = (construct: string, variant: string, baseline: string): Figure => ({
    name: `${construct}, ${threads} thread${threads > 1 ? "s" : ""}, ${variant}`,
    value: of(construct, variant),
    unit: "ns",
    baseline: { name: baseline, value: of(construct, baseline) },
  });
  return constructs.flatMap((construct) => [
    ...ours.map(({ name }) => ({ ...figure(construct, name, debian.name), aim: aim(runtime) })),
    ...others.flatMap(({ name }) => [
      figure(construct, "with a page", name),
      figure(construct, name, debian.name),
    ]),
  ]);
});

const bench = Effect.gen(function* () {
  const directory = yield* scratch;
  const page = join(directory, "page");
  yield* publishPage(page, 1).pipe(Effect.provide(PagePublisher.layer(page)));
  const tool = (name: string) => compile(directory, name, ["clang-14", "-shared", "-fPIC"]);
  const tools = [yield* tool("idle_tool"), yield* tool("told_tool")] as const;
  const builtAlike = yield* buildAlike;
  const figures: Array<Figure> = [];
  for (const runtime of yield* runtimes) {
    const program = yield* compile(directory, "region", runtime.compiler);
    const others = othersOf(runtime, builtAlike, tools);
    const ours = oursOf(runtime, page);
    for (let threads = 1; threads <= availableParallelism(); threads++) {
      figures.push(...(yield* ofThreads(runtime, program, others, ours, threads)));
    }
  }
  yield* report("OpenMP constructs while the topology stays", figures);
});

await Effect.runPromise(Effect.scoped(bench).pipe(Effect.provide(NodeServices.layer)));
