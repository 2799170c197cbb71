/**
 * NAS CG as a running program: what it prints, and whether that is right.
 */
import { OmpProgram } from "@virtflex/omp-runtime-shim";
import { Effect, Fiber, Schema, Stream, SubscriptionRef } from "effect";
import { app } from "../Workshop.ts";
import { endText } from "../ProgramEnd.ts";

/** Published results of the NAS Parallel Benchmarks, by class. */
const zetas = {
  S: 8.5971775078648,
  W: 10.362595087124,
  A: 17.130235054029,
} as const;
export const cgClasses = ["S", "W", "A"] as const;
export type CgClass = (typeof cgClasses)[number];

/** One repetition of the benchmark, as CG's line says it. */
export interface Repetition {
  readonly number: number;
  readonly zeta: number;
}

/** CG ended, or said nothing for too long. */
export class CgFailed extends Schema.TaggedError<CgFailed>()("CgFailed", {
  detail: Schema.String,
}) {
  readonly code = "DEMO_PROGRAM_FAILED";
  override get message(): string {
    return `The demonstration's program, CG: ${this.detail}`;
  }
}

const line = /^repetition=(\d+) zeta=(\S+) /;

export const parseRepetition = (text: string): Repetition | undefined => {
  const [, number, zeta] = line.exec(text) ?? [];
  return number === undefined || zeta === undefined
    ? undefined
    : { number: Number(number), zeta: Number(zeta) };
};

/** By the benchmark's own tolerance; CG's opinion of itself does not count. */
export const isRight = (size: CgClass, { zeta }: Repetition): boolean =>
  Math.abs(zeta - zetas[size]) <= 1e-10;

/**
 * Starts CG under the adapting libgomp; it runs until the scope closes. Its
 * threads sleep where they wait, so that it doesn't burn the machine that it shares.
 */
export const startCg = Effect.fn("startCg")(function* (size: CgClass, page: string) {
  const { launch } = yield* OmpProgram;
  const cg = yield* launch({
    program: yield* app("cg"),
    args: ["--class", size, "--repetitions", "1000000"],
    page,
    env: { OMP_WAIT_POLICY: "passive" },
    stdio: "pipe",
  });
  const repetitions = yield* SubscriptionRef.make<ReadonlyArray<Repetition>>([]);
  const reading = yield* cg.stdout.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((text) => {
      const found = parseRepetition(text);
      return found === undefined
        ? Effect.void
        : SubscriptionRef.update(repetitions, (all) => [...all, found]);
    }),
    Effect.andThen(cg.exit),
    Effect.flatMap((exit) => new CgFailed({ detail: `it ${endText(exit)}` })),
    Effect.forkScoped,
  );
  const all = SubscriptionRef.get(repetitions);
  /** Waits for the end of the repetition that runs now. */
  const next = Effect.flatMap(all, ({ length }) =>
    SubscriptionRef.changes(repetitions).pipe(
      Stream.filter((now) => now.length > length),
      Stream.runHead,
    ),
  ).pipe(
    Effect.asVoid,
    Effect.raceFirst(Fiber.join(reading)),
    Effect.timeoutOrElse({
      duration: "2 minutes",
      orElse: () => new CgFailed({ detail: "it finished no repetition in 2 minutes" }),
    }),
  );
  return { pid: cg.pid, all, next };
});
export type RunningCg = Effect.Success<ReturnType<typeof startCg>>;
