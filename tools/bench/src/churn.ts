/**
 * What it costs a program that the topology changes every 100 ms, beyond the CPUs
 * that are taken away: of two nodes one leaves and comes back, and the baseline is
 * what the program does while nothing changes, with both nodes and with one, each
 * for its share of the time. The page changes all the time, but for the baseline
 * the program follows another. The three take turns in every order; the median
 * of the turns counts.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import * as NodeServices from "@effect/platform-node/NodeServices";
import { PagePublisher } from "@virtflex/guest-notify";
import { Effect } from "effect";
import { compileApp, pageOf, publishPage, type Runtime, runtimes, scratch } from "./Program.ts";
import { type Figure, report } from "./Report.ts";

const turns = 12;
const seconds = 1;
const interval = "100 millis";
const apps = [
  { name: "CG, class S", sources: ["cg", "cg_matrix", "nas_random"], args: ["--class", "S"] },
  { name: "triad", sources: ["triad"], args: ["--elements", "200000"] },
];

const bindings = [
  { name: "no binding", environment: {} },
  { name: "places=cores", environment: { OMP_PLACES: "cores" } },
];

type Topology = "both" | "one" | "changing";
const orders: ReadonlyArray<ReadonlyArray<Topology>> = [
  ["both", "one", "changing"],
  ["changing", "one", "both"],
  ["one", "changing", "both"],
  ["both", "changing", "one"],
  ["changing", "both", "one"],
  ["one", "both", "changing"],
];

interface Change {
  readonly at: number;
  readonly leaving: boolean;
}
interface Run {
  /** Milliseconds on the clock of `performance`: when the first repetition was said to be over, and the last. */
  readonly from: number;
  readonly until: number;
  /** Repetitions a second by that clock, of which the shares are known: the check of each result is part of it. */
  readonly rate: number;
}

/** The page at `path` changes from now on; answers the changes that there have been. */
const change = Effect.fnUntraced(function* (path: string) {
  const made: Array<Change> = [];
  const toggle = Effect.gen(function* () {
    const { publish } = yield* PagePublisher;
    for (let leaving = false; ; leaving = !leaving) {
      yield* publish(pageOf(2, leaving));
      made.push({ at: performance.now(), leaving });
      yield* Effect.sleep(interval);
    }
  });
  yield* Effect.forkScoped(toggle.pipe(Effect.provide(PagePublisher.layer(path))));
  return made;
});

/** Of the time of a run, the part with both nodes. */
const shareOfBoth = (changes: ReadonlyArray<Change>, { from, until }: Run): number => {
  const times = changes.map(({ at, leaving }, i) => {
    const end = Math.min(changes[i + 1]?.at ?? until, until);
    return leaving ? 0 : Math.max(0, end - Math.max(at, from));
  });
  return times.reduce((sum, time) => sum + time, 0) / (until - from);
};

const run = (program: string, args: ReadonlyArray<string>, environment: NodeJS.ProcessEnv) =>
  Effect.promise(async (): Promise<Run> => {
    const env = { ...process.env, ...environment };
    const running = promisify(execFile)(program, [...args, "--seconds", String(seconds)], { env });
    const said: Array<{ readonly at: number; readonly lines: number }> = [];
    running.child.stdout?.on("data", (text: string) => {
      said.push({ at: performance.now(), lines: text.split("\n").length - 1 });
    });
    const { stdout } = await running;
    const wrong = stdout
      .trim()
      .split("\n")
      .find((line) => !line.includes(" verified=yes "));
    if (wrong !== undefined) throw new Error(`a result is wrong: ${wrong}`);
    const [from = 0, until = 0] = [said[0]?.at, said.at(-1)?.at];
    const lines = said.slice(1).reduce((sum, each) => sum + each.lines, 0);
    return { from, until, rate: (1000 * lines) / (until - from) };
  });

const figureOf = Effect.fnUntraced(function* (
  runtime: Runtime,
  app: (typeof apps)[number],
  binding: (typeof bindings)[number],
  directory: string,
  changes: ReadonlyArray<Change>,
) {
  const program = yield* compileApp(directory, app.sources, runtime.compiler);
  const on = (topology: Topology) =>
    run(program, app.args, {
      ...runtime.following,
      ...binding.environment,
      VIRTFLEX_TOPOLOGY: join(directory, topology),
    });
  const found: Array<{ measured: number; expected: number }> = [];
  for (let turn = 0; turn < turns; turn++) {
    const runs = new Map<Topology, Run>();
    for (const topology of orders[turn % orders.length] ?? []) {
      runs.set(topology, yield* on(topology));
    }
    const [both, one, changing] = [runs.get("both"), runs.get("one"), runs.get("changing")];
    if (both !== undefined && one !== undefined && changing !== undefined) {
      const share = shareOfBoth(changes, changing);
      const expected = both.rate * share + one.rate * (1 - share);
      found.push({ measured: changing.rate, expected });
    }
  }
  found.sort((a, b) => a.measured / a.expected - b.measured / b.expected);
  const median = found[Math.floor(found.length / 2)] ?? { measured: 0, expected: 0 };
  const figure: Figure = {
    name: `${app.name}, ${binding.name}`,
    value: median.measured,
    unit: "runs/s",
    baseline: {
      name: `no change, ${runtime.baseline} made to follow`,
      value: median.expected,
    },
    aim: "at least 0.98 ×",
  };
  return figure;
});

const still = (directory: string, topology: Topology, leaving: boolean) => {
  const path = join(directory, topology);
  return publishPage(path, 2, leaving).pipe(Effect.provide(PagePublisher.layer(path)));
};

const bench = Effect.gen(function* () {
  const directory = yield* scratch;
  yield* still(directory, "both", false);
  yield* still(directory, "one", true);
  const changes = yield* change(join(directory, "changing"));
  const figures: Array<Figure> = [];
  for (const runtime of yield* runtimes) {
    for (const app of apps) {
      for (const binding of bindings) {
        figures.push(yield* figureOf(runtime, app, binding, directory, changes));
      }
    }
  }
  yield* report("A change every 100 ms, beyond the CPUs taken away", figures);
});

await Effect.runPromise(Effect.scoped(bench).pipe(Effect.provide(NodeServices.layer)));
