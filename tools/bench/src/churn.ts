/**
 * What it costs a program that the topology changes every 100 ms, beyond the CPUs
 * that are taken away: of two nodes one leaves and comes back, and the baseline is
 * what the program does while nothing changes, with both nodes and with one, each
 * for its share of the time. The three run in turn; of all turns the median counts.
 */
import { join } from "node:path";
import * as NodeServices from "@effect/platform-node/NodeServices";
import { PagePublisher } from "@virtflex/guest-notify";
import { Clock, Effect, Fiber } from "effect";
import { compileApp, output, pageOf, type Runtime, runtimes, scratch } from "./Program.ts";
import { type Figure, report } from "./Report.ts";

const turns = 7;
const interval = "100 millis";
const apps = [
  { name: "CG, class S", sources: ["cg", "cg_matrix", "nas_random"], args: ["--class", "S"] },
  { name: "triad", sources: ["triad"], args: ["--elements", "200000"] },
];

/** Repetitions a second, of those that the program made; each must be right. */
const rate = (text: string): number => {
  const lines = text.split("\n");
  if (!lines.every((line) => line.includes(" verified=yes "))) {
    throw new Error(`a result is wrong:\n${text}`);
  }
  const seconds = lines.map((line) => Number(/ seconds=([\d.]+)/.exec(line)?.[1]));
  return lines.length / seconds.reduce((sum, each) => sum + each, 0);
};

/** Changes until it is interrupted; `share` is the part of the time with both nodes. */
const changes = Effect.fnUntraced(function* (shares: { both: number; one: number }) {
  const { publish } = yield* PagePublisher;
  for (let leaving = false; ; leaving = !leaving) {
    yield* publish(pageOf(2, leaving));
    const begun = yield* Clock.monotonicTimeNanos;
    yield* Effect.onExit(Effect.sleep(interval), () =>
      Effect.map(Clock.monotonicTimeNanos, (now) => {
        shares[leaving ? "one" : "both"] += Number(now - begun);
      }),
    );
  }
});

const turn = Effect.fnUntraced(function* (run: (seconds: number) => Effect.Effect<number>) {
  const { publish } = yield* PagePublisher;
  yield* publish(pageOf(2));
  const both = yield* run(1);
  yield* publish(pageOf(2, true));
  const one = yield* run(1);
  const shares = { both: 0, one: 0 };
  const changing = yield* Effect.forkChild(changes(shares));
  const measured = yield* run(2);
  yield* Fiber.interrupt(changing);
  const expected = (both * shares.both + one * shares.one) / (shares.both + shares.one);
  return { measured, expected };
});

const figureOf = Effect.fnUntraced(function* (
  runtime: Runtime,
  app: (typeof apps)[number],
  directory: string,
  path: string,
) {
  const program = yield* compileApp(directory, app.sources, runtime.compiler);
  const environment = { ...runtime.following, VIRTFLEX_TOPOLOGY: path };
  const run = (seconds: number) =>
    Effect.map(output(program, [...app.args, "--seconds", String(seconds)], environment), rate);
  const found = yield* Effect.replicateEffect(turn(run), turns).pipe(
    Effect.map((all) => all.sort((a, b) => a.measured / a.expected - b.measured / b.expected)),
  );
  const median = found[Math.floor(turns / 2)] ?? { measured: Number.NaN, expected: Number.NaN };
  const figure: Figure = {
    name: `${app.name}, ${runtime.baseline} made to follow`,
    value: median.measured,
    unit: "runs/s",
    baseline: { name: "no change", value: median.expected },
    aim: "at least 0.98 ×",
  };
  return figure;
});

const bench = Effect.gen(function* () {
  const directory = yield* scratch;
  const path = join(directory, "page");
  const all = (yield* runtimes).flatMap((runtime) => apps.map((app) => ({ runtime, app })));
  const figures = yield* Effect.forEach(all, ({ runtime, app }) =>
    figureOf(runtime, app, directory, path),
  ).pipe(Effect.provide(PagePublisher.layer(path)));
  yield* report("A change every 100 ms, beyond the CPUs taken away", figures);
});

await Effect.runPromise(Effect.scoped(bench).pipe(Effect.provide(NodeServices.layer)));
