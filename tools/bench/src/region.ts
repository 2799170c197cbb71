/**
 * What following adds to OpenMP constructs while nothing changes, for both
 * runtimes and 1 to N threads: the baseline is the runtime as Debian has it, run
 * in turn with ours, and each figure is the least of all turns, as other load can
 * only add.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import * as NodeServices from "@effect/platform-node/NodeServices";
import { PagePublisher } from "@virtflex/guest-notify";
import { Effect } from "effect";
import { compile, measure, publishPage, type Runtime, runtimes, scratch } from "./Program.ts";
import { type Figure, report } from "./Report.ts";

const turns = 25;
const args = ["41", "1000"];
const constructs = ["parallel", "for", "barrier", "task"];
const variants = ["stock", "without a page", "with a page"];
const aim = (runtime: Runtime) =>
  runtime.baseline.endsWith("libgomp") ? "at most 1.005 ×" : "at most 1.03 ×";

const ofThreads = Effect.fnUntraced(function* (
  runtime: Runtime,
  program: string,
  page: string,
  threads: number,
) {
  const OMP_NUM_THREADS = String(threads);
  const environments = [
    { ...runtime.stock, OMP_NUM_THREADS },
    { ...runtime.following, OMP_NUM_THREADS },
    { ...runtime.following, OMP_NUM_THREADS, VIRTFLEX_TOPOLOGY: page },
  ];
  const least = new Map<string, number>();
  for (let turn = 0; turn < turns; turn++) {
    for (let step = 0; step < variants.length; step++) {
      // None is always the first.
      const index = (turn + step) % variants.length;
      for (const [construct, value] of yield* measure(program, args, environments[index])) {
        const key = `${construct}, ${variants[index] ?? ""}`;
        least.set(key, Math.min(least.get(key) ?? Number.POSITIVE_INFINITY, value));
      }
    }
  }
  const of = (construct: string, variant: string) =>
    least.get(`${construct}, ${variant}`) ?? Number.NaN;
  return constructs.flatMap((construct) =>
    variants.slice(1).map((variant): Figure => ({
      name: `${construct}, ${threads} thread${threads > 1 ? "s" : ""}, ${variant}`,
      value: of(construct, variant),
      unit: "ns",
      baseline: { name: runtime.baseline, value: of(construct, "stock") },
      aim: aim(runtime),
    })),
  );
});

const bench = Effect.gen(function* () {
  const directory = yield* scratch;
  const page = join(directory, "page");
  yield* publishPage(page, 1).pipe(Effect.provide(PagePublisher.layer(page)));
  const figures: Array<Figure> = [];
  for (const runtime of yield* runtimes) {
    const program = yield* compile(directory, "region", runtime.compiler);
    for (let threads = 1; threads <= availableParallelism(); threads++) {
      figures.push(...(yield* ofThreads(runtime, program, page, threads)));
    }
  }
  yield* report("OpenMP constructs while the topology stays", figures);
});

await Effect.runPromise(Effect.scoped(bench).pipe(Effect.provide(NodeServices.layer)));
