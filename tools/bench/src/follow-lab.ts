/**
 * What `bench follow` measures, on a real Xen (the lab): what following costs each of our programs, with dom0's `virtflex expand` in the middle
 * of its run, against the ideal that its own speed before and after gives; and while nothing changes, with `virtflex.ko` and our libgomp against
 * a guest without them. The guest's vCPUs together get what one pCPU has, before and after. Under emulation: only the ratios say something.
 */
import { Clocks, type Lab, sharedLab, Subject } from "@virtflex/lab";
import { Duration, Effect, Fiber, Schedule, Schema } from "effect";
import { againstIdeal, type Pair, pace, typical } from "./Ideal.ts";
import { type Figure, report } from "./Report.ts";

const turns = 3;
/** Milliseconds, and repetitions, by which a pace is known. */
const enough = { time: 12_000, repetitions: 4 };
const leaving = "2,3";

const programs: ReadonlyArray<readonly [name: string, program: string, ...size: Array<string>]> = [
  ["NAS CG, class S", "cg", "--class", "S"],
  ["NAS MG, class S", "mg", "--class", "S"],
  ["NAS IS, class S", "is", "--class", "S"],
  ["RandomAccess, 2^18 words", "gups", "--log2-size", "18"],
  ["triad, a million elements", "triad", "--elements", "1000000"],
];

const stock = ["OMP_PLACES=threads", "OMP_PROC_BIND=close", "OMP_WAIT_POLICY=passive"];
const following = [...stock, "LD_LIBRARY_PATH=/opt/virtflex/lib"];

class BenchFailed extends Schema.TaggedError<BenchFailed>()("BenchFailed", {
  message: Schema.String,
}) {}

const say = (line: string) => Effect.sync(() => void process.stderr.write(`${line}\n`));

interface Run {
  /** When each repetition was over: it grows. */
  readonly ends: ReadonlyArray<number>;
  /** What it said of results that are not right. */
  readonly wrong: ReadonlyArray<string>;
  /** Fails when the program ends. */
  readonly over: Effect.Effect<never, BenchFailed>;
}

/** Starts a program, which ends with the scope. */
const launch = Effect.fnUntraced(function* (
  guest: Lab.Host,
  [, program, ...size]: (typeof programs)[number],
  environment: ReadonlyArray<string>,
) {
  const ends: Array<number> = [];
  const wrong: Array<string> = [];
  const running = yield* guest
    .exec(
      [
        ...["env", ...environment, `/opt/virtflex/bin/${program}`, ...size],
        ...["--repetitions", "1000000"],
      ],
      {
        timeout: "1 hour",
        onStdout: Subject.byLine((line) => {
          ends.push(Clocks.nowMs());
          if (!line.includes(" verified=yes ")) wrong.push(line);
        }),
      },
    )
    .pipe(Effect.forkScoped);
  const over = Fiber.join(running).pipe(
    Effect.mapError(({ message }) => message),
    Effect.flatMap(({ status, stderr }) =>
      Effect.fail(`${program} ended with status ${status}: ${stderr.toString()}`),
    ),
    Effect.mapError((message) => new BenchFailed({ message })),
  );
  return { ends, wrong, over } satisfies Run;
});

/** Those of the repetitions that began after `from`, as soon as they are enough to know the pace by. */
const since = ({ ends, wrong, over }: Run, from = -Infinity) =>
  Effect.suspend(() => {
    if (wrong.length > 0) return Effect.die(`a wrong result: ${wrong.join("; ")}`);
    const found = ends.filter((at) => at > from);
    const [first, last] = [found[0], found.at(-1)];
    return first !== undefined &&
      last !== undefined &&
      found.length > enough.repetitions &&
      last - first >= enough.time
      ? Effect.succeed(found)
      : new BenchFailed({ message: "not enough repetitions within 10 minutes" });
  }).pipe(
    Effect.retry(
      Schedule.spaced("100 millis").pipe(Schedule.upTo({ duration: Duration.minutes(10) })),
    ),
    Effect.raceFirst(over),
  );

const change = Effect.fnUntraced(function* (subject: Subject.Subject, verb: "shrink" | "expand") {
  const changed = yield* subject.change(verb, leaving);
  if (changed.result === "done") return changed;
  return yield* new BenchFailed({
    message: `virtflex ${verb}: ${changed.error?.message ?? changed.result}`,
  });
});

/** Seconds of a run with an expansion in its middle, and of the ideal one. The guest is whole before and after. */
const expanded = Effect.fnUntraced(function* (
  subject: Subject.Subject,
  program: (typeof programs)[number],
) {
  yield* change(subject, "shrink");
  const { offsetMs } = yield* Clocks.align(subject.dom0);
  const run = yield* launch(subject.guest, program, following);
  const before = pace(yield* since(run));
  const { steps } = yield* change(subject, "expand");
  const done = Clocks.nowMs();
  const after = pace(yield* since(run, done));
  const request = steps?.find(({ tag }) => tag === "request");
  if (request === undefined)
    return yield* new BenchFailed({ message: "an expansion without a request" });
  return againstIdeal(run.ends, request.startedAtMs - offsetMs, { before, after });
}, Effect.scoped);

const load = ({ guest }: Subject.Subject) =>
  guest.check("[ -e /proc/virtflex ] || insmod /opt/virtflex/lib/virtflex.ko");

/** Milliseconds of a repetition while nothing changes. */
const steady = Effect.fnUntraced(function* (
  subject: Subject.Subject,
  program: (typeof programs)[number],
  parts: boolean,
) {
  yield* parts ? load(subject) : subject.guest.check("rmmod virtflex");
  return pace(yield* since(yield* launch(subject.guest, program, parts ? following : stock)));
}, Effect.scoped);

const bench = Effect.gen(function* () {
  const lab = yield* sharedLab("follow", say);
  const subject = yield* Subject.make(lab, "bench-follow");
  const pairs = new Map<string, Array<Pair>>();
  const note = (what: string, pair: Pair) =>
    void pairs.set(what, [...(pairs.get(what) ?? []), pair]);
  for (let turn = 1; turn <= turns; turn++) {
    for (const program of programs) {
      const [name] = program;
      yield* say(`follow-lab: ${name}, turn ${turn} of ${turns}`);
      // Which comes first alternates.
      const early = turn % 2 === 0 ? yield* steady(subject, program, true) : undefined;
      const baseline = yield* steady(subject, program, false);
      const value = early ?? (yield* steady(subject, program, true));
      note(`${name}, steady`, { value, baseline });
      yield* load(subject);
      yield* subject.ready;
      note(`${name}, expanded`, yield* expanded(subject, program));
    }
  }
  const figures = programs.flatMap(([name]): ReadonlyArray<Figure> => {
    const run = typical(pairs.get(`${name}, expanded`) ?? []);
    const repetition = typical(pairs.get(`${name}, steady`) ?? []);
    return [
      {
        name: `${name}: a run with an expansion, median of ${turns}`,
        value: run.value,
        unit: "s",
        baseline: { name: "the ideal", value: run.baseline },
        aim: "below 1.03 ×",
      },
      {
        name: `${name}: a repetition, nothing changes, median of ${turns}`,
        value: repetition.value,
        unit: "ms",
        baseline: { name: "without our parts", value: repetition.baseline },
        aim: "below 1.01 ×",
      },
    ];
  });
  yield* report("Programs in a guest of the lab", figures);
});

await Effect.runPromise(Effect.scoped(bench));
