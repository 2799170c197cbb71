/**
 * What following costs each of our programs: with one expansion in the middle of its run, against the ideal that its own speed before
 * and after gives; and while nothing changes, against Debian's libgomp. On an embedded host, whose vCPUs are this machine's CPUs.
 */
import * as NodeServices from "@effect/platform-node/NodeServices";
import { OmpProgram } from "@virtflex/omp-runtime-shim";
import { apply, Controller, survey } from "@virtflex/pipeline";
import { DomainId, plan, VnodeId } from "@virtflex/topo-model";
import * as EmbeddedClient from "@virtflex/xen-control/embedded-client";
import { Cause, Effect, Fiber, Layer, Queue, Stream } from "effect";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { serve } from "./Embedded.ts";
import { againstIdeal, type Pair, pace, typical } from "./Ideal.ts";
import { scratch } from "./Program.ts";
import { type Figure, report } from "./Report.ts";

const turns = 5;
/** Milliseconds of a turn in which nothing changes. */
const steadyTime = 12_000;
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
  /** When each repetition was over; it ends with the program, or at a wrong result. */
  const ends = yield* Queue.unbounded<number, Cause.Done>();
  yield* program.stdout.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.takeWhile((line) => line.includes(" verified=yes ")),
    Stream.runForEach(() => Queue.offer(ends, performance.now())),
    Effect.ensuring(Queue.end(ends)),
    Effect.forkScoped,
  );
  const take = (count: number) =>
    Effect.forEach(Array.from({ length: count }), () => Queue.take(ends)).pipe(
      Effect.catch(() => Effect.die(`${file}: not ${repetitions} repetitions with right results`)),
    );
  const first = yield* take(before);
  const request = performance.now();
  const expanding = yield* Effect.forkChild(
    Effect.andThen(
      change("expand"),
      Effect.sync(() => performance.now()),
    ),
  );
  const rest = yield* take(1 + after);
  const done = yield* Fiber.join(expanding);

  return againstIdeal([...first, ...rest], request, {
    before: pace(first),
    after: pace(rest.filter((at) => at > done)),
  });
}, Effect.scoped);

/** Seconds of a repetition while nothing changes, the least of a few. */
const steady = ({ file, size }: Program, environment: Readonly<Record<string, string>>): number => {
  const output = execFileSync(file, [...size, "--repetitions", "3"], {
    env: { ...process.env, ...waiting, ...environment },
  });
  const seconds = [...output.toString().matchAll(/ seconds=([\d.]+)/g)].map(([, text]) =>
    Number(text),
  );
  return Math.min(...seconds);
};

/**
 * On our library and on Debian's, one right after the other: where the kernel puts a process's
 * pages makes it up to half as slow again, so that it takes many processes to compare the two.
 */
const steadyPairs = (program: Program, runtime: string, page: string): ReadonlyArray<Pair> => {
  const following = { LD_LIBRARY_PATH: runtime, VIRTFLEX_TOPOLOGY: page };
  const pairs: Array<Pair> = [];
  const until = performance.now() + steadyTime;
  while (performance.now() < until) {
    const early = pairs.length % 2 === 0 ? steady(program, following) : undefined;
    const baseline = steady(program, { LD_LIBRARY_PATH: "" });
    pairs.push({ value: early ?? steady(program, following), baseline });
  }
  return pairs;
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
    const runs: Array<Pair> = [];
    const pairs: Array<Pair> = [];
    for (let turn = 0; turn < turns; turn++) {
      runs.push(yield* expanded(program, page).pipe(Effect.provide(host)));
      pairs.push(...steadyPairs(program, runtime, page));
    }
    const run = typical(runs);
    const pair = typical(pairs);
    figures.push(
      {
        name: `${program.name}: a run with an expansion, median of ${turns}`,
        value: run.value,
        unit: "s",
        baseline: { name: "the ideal", value: run.baseline },
        aim: "below 1.03 ×",
      },
      {
        name: `${program.name}: a repetition, nothing changes, median of ${pairs.length}`,
        value: pair.value,
        unit: "s",
        baseline: { name: "Debian's libgomp", value: pair.baseline },
        aim: "below 1.01 ×",
      },
    );
  }
  yield* report("Programs on an embedded host", figures);
}).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(OmpProgram.layer, NodeServices.layer)));

await Effect.runPromise(bench);
