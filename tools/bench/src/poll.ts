/**
 * What it costs to look for a new topology: the baseline is an open, read and
 * close of a file in /proc, which is how the original runtime looked.
 */
import { join } from "node:path";
import { PagePublisher } from "@virtflex/guest-notify";
import { Effect } from "effect";
import { compile, measure, publishPage, scratch } from "./Program.ts";
import { report } from "./Report.ts";

const bench = Effect.gen(function* () {
  const directory = yield* scratch;
  const program = yield* compile(directory, "poll");
  const path = join(directory, "page");
  yield* publishPage(path, 1).pipe(Effect.provide(PagePublisher.layer(path)));
  const found = yield* measure(program, [path]);
  const of = (name: string) => found.get(name) ?? Number.NaN;
  const baseline = { name: "open, read, close", value: of("open-read-close") };
  yield* report("A look for a new topology", [
    {
      name: "load of the page's generation, beyond the loop",
      value: Math.max(0, of("page") - of("loop")),
      unit: "ns",
      baseline,
      aim: "at most 5 ns",
    },
    { name: "the least system call", value: of("system-call"), unit: "ns", baseline },
  ]);
});

await Effect.runPromise(Effect.scoped(bench));
