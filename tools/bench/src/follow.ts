/**
 * What following costs each of our programs: with one expansion in the middle of its run, against the ideal that its own speed before
 * and after gives; and while nothing changes, against Debian's libgomp. On an embedded host, whose vCPUs are this machine's CPUs.
 */
import * as NodeServices from "@effect/platform-node/NodeServices";
import { OmpProgram } from "@virtflex/omp-runtime-shim";
import { apply, Controller, survey } from "@virtflex/pipeline";
import { DomainId, plan, VnodeId } from "@virtflex/topo-model";
import * as EmbeddedClient from "@virtflex/xen-control/embedded-client";
import { Effect, Fiber, Layer, Queue, Stream } from "effect";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { serve } from "./Embedded.ts";
import { median } from "./Median.ts";
import { scratch } from "./Program.ts";
import { type Figure, report } from "./Report.ts";

const turns = 5;
/** Repetitions before the expansion, and after the one in which it falls. */
const before = 12;
const after = 16;
const domain = DomainId.make(1);
const build = join(import.meta.dirname, "../../..", "tools/apps/build");

interface Program {
  readonly name: string;
  readonly file: string;
  /** Such that a repetition takes 0.07 to 0.8 s on 2 CPUs. */
  readonly size: ReadonlyArray<string>;
}

const programs: ReadonlyArray<Program> = [
  { name: "NAS CG, class W", file: join(build, "cg"), size: ["--class", "W"] },
  { name: "NAS MG, class W", file: join(build, "mg"), size: ["--class", "W"] },
  { name: "NAS IS, class A", file: join(build, "is"), size: ["--class", "A"] },
  { name: "RandomAccess, 2^22 words", file: join(build, "gups"), size: ["--log2-size", "22"] },
  {
    name: "triad, 8 million elements",
    file: join(build, "triad"),
    size: ["--elements", "8000000"],
  },
];
/** Threads that spin where they wait would measure who else wants the CPUs. */
const waiting = { OMP_WAIT_POLICY: "passive" };

const change = Effect.fnUntraced(function* (verb: "expand" | "shrink") {
  const { topology } = yield* survey;
  const wish = { _tag: verb, domain, vnodes: [VnodeId.make(1)] };
  const steps = yield* Effect.fromResult(plan(topology.host, topology.guests, wish));
  yield* apply(steps, { deadline: "60 seconds", onProgress: () => Effect.void });
});

/** Seconds of a run with an expansion in its middle, and of the ideal one. */
const expanded = Effect.fnUntraced(function* ({ file, size }: Program, page: string) {
  yield* change("shrink");
  const { launch } = yield* OmpProgram;
  const repetitions = String(before + 1 + after);
  const program = yield* launch({
    program: file,
    args: [...size, "--repetitions", repetitions],
    page,
    env: waiting,
    stdio: "pipe",
  });
  /** When each repetition was over. */
  const ends = yield* Queue.unbounded<number>();
  yield* program.stdout.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach(() => Queue.offer(ends, performance.now())),
    Effect.forkScoped,
  );
  const take = (count: number) =>
    Effect.forEach(Array.from({ length: count }), () => Queue.take(ends));
  const first = yield* take(before);
  const request = performance.now();
  const expanding = yield* Effect.forkChild(change("expand"));
  const rest = yield* take(1 + after);
  yield* Fiber.join(expanding);

  const gaps = (times: ReadonlyArray<number>) =>
    times.slice(1).map((at, i) => at - (times[i] ?? 0));
  const [start = Number.NaN] = first;
  const slow = median(gaps(first));
  const fast = median(gaps(rest.slice(2)));
  const done = (request - (first.at(-1) ?? Number.NaN)) / slow;
  const ideal = request - start + (1 - done + after) * fast;
  return { actual: ((rest.at(-1) ?? Number.NaN) - start) / 1e3, ideal: ideal / 1e3 };
}, Effect.scoped);

/** Seconds of a repetition while nothing changes, the least of a few. */
const steady = ({ file, size }: Program, environment: Readonly<Record<string, string>>): number => {
  const output = execFileSync(file, [...size, "--repetitions", "6"], {
    env: { ...process.env, ...waiting, ...environment },
  });
  const seconds = [...output.toString().matchAll(/ seconds=([\d.]+)/g)].map(([, text]) =>
    Number(text),
  );
  return Math.min(...seconds);
};

const bench = Effect.gen(function* () {
  const directory = yield* scratch;
  const socket = join(directory, "sock");
  const page = join(directory, `domain-${domain}.topology`);
  yield* serve(socket);
  const host = Layer.merge(EmbeddedClient.layer(socket), Controller.layer);
  // All of them are built by the same compiler.
  const { runtime } = yield* Effect.flatMap(OmpProgram, ({ launch }) =>
    Effect.scoped(launch({ program: join(build, "cg"), args: ["--help"], page, stdio: "pipe" })),
  );
  const figures: Array<Figure> = [];
  for (const program of programs) {
    const runs: Array<Effect.Success<ReturnType<typeof expanded>>> = [];
    const ours: Array<number> = [];
    const stock: Array<number> = [];
    for (let turn = 0; turn < turns; turn++) {
      runs.push(yield* expanded(program, page).pipe(Effect.provide(host)));
      stock.push(steady(program, { LD_LIBRARY_PATH: "" }));
      ours.push(steady(program, { LD_LIBRARY_PATH: runtime, VIRTFLEX_TOPOLOGY: page }));
    }
    runs.sort((a, b) => a.actual / a.ideal - b.actual / b.ideal);
    const typical = runs[Math.floor(turns / 2)];
    figures.push(
      {
        name: `${program.name}: a run with an expansion, median of ${turns}`,
        value: typical?.actual ?? Number.NaN,
        unit: "s",
        baseline: { name: "the ideal", value: typical?.ideal ?? Number.NaN },
        aim: "below 1.03 ×",
      },
      {
        name: `${program.name}: a repetition, nothing changes, least of ${turns}`,
        value: Math.min(...ours),
        unit: "s",
        baseline: { name: "Debian's libgomp", value: Math.min(...stock) },
        aim: "below 1.01 ×",
      },
    );
  }
  yield* report("Programs on an embedded host", figures);
}).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(OmpProgram.layer, NodeServices.layer)));

await Effect.runPromise(bench);
