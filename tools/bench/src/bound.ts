/**
 * From a new generation to the last thread bound, in a program that enters a
 * parallel region right after the change: a node of two is taken away and comes
 * back, and the number of threads with it. The baseline is a region of the
 * runtime as Debian has it whose threads each bind themselves.
 */
import { join } from "node:path";
import * as NodeServices from "@effect/platform-node/NodeServices";
import { PagePublisher } from "@virtflex/guest-notify";
import { Effect } from "effect";
import { compile, measure, publishPage, runtimes, scratch } from "./Program.ts";
import { type Figure, report } from "./Report.ts";

const turns = "200";

const bench = Effect.gen(function* () {
  const directory = yield* scratch;
  const figures: Array<Figure> = [];
  for (const runtime of yield* runtimes) {
    const program = yield* compile(directory, "bound", runtime.compiler);
    const page = join(directory, `${runtime.compiler[0] ?? ""}.page`);
    yield* publishPage(page, 2).pipe(Effect.provide(PagePublisher.layer(page)));
    for (const places of ["", "cores"]) {
      const binding: Record<string, string> = places === "" ? {} : { OMP_PLACES: places };
      const stock = yield* measure(program, ["-", turns], { ...runtime.stock, ...binding });
      const ours = yield* measure(program, [page, turns], {
        ...runtime.following,
        ...binding,
        VIRTFLEX_TOPOLOGY: page,
      });
      for (const change of ["shrink", "expand"]) {
        figures.push({
          name: `${change}, ${places === "" ? "no binding" : `places=${places}`}`,
          value: (ours.get(change) ?? Number.NaN) / 1e3,
          unit: "µs",
          baseline: {
            name: `threads that bind themselves, ${runtime.baseline}`,
            value: (stock.get("bind") ?? Number.NaN) / 1e3,
          },
        });
      }
    }
  }
  yield* report("From a new generation to the last thread bound (medians)", figures);
});

await Effect.runPromise(Effect.scoped(bench).pipe(Effect.provide(NodeServices.layer)));
