/**
 * What our libgomp adds to OpenMP constructs while nothing changes, for 1 to N
 * threads: the baseline is Debian's libgomp, run in turn with it, and each
 * figure is the least of all turns, as other load can only add.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { PagePublisher } from "@virtflex/guest-notify";
import { Effect } from "effect";
import { compile, measure, patchedLibgomp, publishPage, scratch } from "./Program.ts";
import { type Figure, report } from "./Report.ts";

const turns = 15;
const args = ["11", "5000"];
const constructs = ["parallel", "for", "barrier"];
const stock = "Debian's libgomp";
const followed = ["without a page", "with a page"];

const bench = Effect.gen(function* () {
  const directory = yield* scratch;
  const program = yield* compile(directory, "region");
  const library = yield* patchedLibgomp;
  const path = join(directory, "page");
  yield* publishPage(path).pipe(Effect.provide(PagePublisher.layer(path)));
  const figures: Array<Figure> = [];

  for (let threads = 1; threads <= availableParallelism(); threads++) {
    const OMP_NUM_THREADS = String(threads);
    const ours = { OMP_NUM_THREADS, LD_LIBRARY_PATH: library };
    const environments = [
      { OMP_NUM_THREADS, LD_LIBRARY_PATH: "" },
      ours,
      { ...ours, VIRTFLEX_TOPOLOGY: path },
    ];
    const least = new Map<string, number>();
    for (let turn = 0; turn < turns; turn++) {
      for (const [index, environment] of environments.entries()) {
        const variant = [stock, ...followed][index] ?? "";
        for (const [construct, value] of yield* measure(program, args, environment)) {
          const key = `${construct}, ${variant}`;
          least.set(key, Math.min(least.get(key) ?? Number.POSITIVE_INFINITY, value));
        }
      }
    }
    const of = (construct: string, variant: string) =>
      least.get(`${construct}, ${variant}`) ?? Number.NaN;
    for (const construct of constructs) {
      for (const variant of followed) {
        figures.push({
          name: `${construct}, ${threads} thread${threads > 1 ? "s" : ""}, ${variant}`,
          value: of(construct, variant),
          unit: "ns",
          baseline: { name: stock, value: of(construct, stock) },
          aim: "at most 1.01 ×",
        });
      }
    }
  }
  yield* report("OpenMP constructs while the topology stays", figures);
});

await Effect.runPromise(Effect.scoped(bench));
