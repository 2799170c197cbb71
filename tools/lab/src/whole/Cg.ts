/**
 * NAS CG, class S, in a guest.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Fiber, Stream, SubscriptionRef } from "effect";
import { CommandFailed } from "../LabError.ts";
import type { Host } from "../Lab.ts";
import { type Runtime, runtimes } from "./Runtime.ts";
import { byLine } from "./Subject.ts";

/** The published result of class S; CG's opinion of itself does not count. @since 0.1.0 */
const zeta = 8.5971775078648;

/** By the benchmark's own tolerance. @since 0.1.0 */
export const isRight = (found: number): boolean => Math.abs(found - zeta) <= 1e-10;

const line = /^repetition=\d+ zeta=(\S+) /;

/**
 * Starts it, as plain `gcc -fopenmp` has built it unless another program is named; it runs until the scope closes.
 *
 * Its threads sleep where they wait: spinning ones would take the machine from all others under emulation.
 *
 * @since 0.1.0
 */
export const start = Effect.fn("Cg.start")(function* (
  guest: Host,
  runtime: Runtime = runtimes.libgomp,
  program: string = "/opt/virtflex/bin/cg",
) {
  yield* guest.check(runtime.prepare);
  const zetas = yield* SubscriptionRef.make<ReadonlyArray<number>>([]);
  const pid = yield* SubscriptionRef.make(0);
  const environment = [
    ...runtime.environment,
    "OMP_PLACES=threads",
    "OMP_PROC_BIND=close",
    "OMP_WAIT_POLICY=passive",
  ];
  const running = yield* guest
    .exec(
      [
        ...["sh", "-c", 'echo "$$"; exec env "$@"', "cg", ...environment],
        ...[program, "--class", "S", "--repetitions", "1000000"],
      ],
      {
        timeout: Duration.hours(12),
        onStdout: byLine((text) => {
          const found = line.exec(text)?.[1];
          Effect.runSync(
            found === undefined
              ? SubscriptionRef.update(pid, (known) => (known === 0 ? Number(text) : known))
              : SubscriptionRef.update(zetas, (all) => [...all, Number(found)]),
          );
        }),
      },
    )
    .pipe(Effect.forkScoped);

  const ended = Fiber.join(running).pipe(
    Effect.flatMap(({ status, stderr }) =>
      Effect.fail(
        new CommandFailed({
          command: "cg",
          status,
          message: `CG ended with status ${String(status)}: ${stderr.toString()}`,
        }),
      ),
    ),
  );
  const await_ = <A>(
    ref: SubscriptionRef.SubscriptionRef<A>,
    what: string,
    good: (value: A) => boolean,
  ) =>
    SubscriptionRef.changes(ref).pipe(
      Stream.filter(good),
      Stream.take(1),
      Stream.runDrain,
      Effect.raceFirst(ended),
      Effect.timeoutOrElse({
        duration: "5 minutes",
        orElse: () =>
          new CommandFailed({ command: "cg", status: 1, message: `CG: ${what} in 5 minutes` }),
      }),
    );
  yield* await_(pid, "it did not start", (value) => value > 0);
  return {
    pid: yield* SubscriptionRef.get(pid),
    zetas: SubscriptionRef.get(zetas),
    /** Waits for the end of the repetition that runs now. */
    next: Effect.flatMap(SubscriptionRef.get(zetas), ({ length }) =>
      await_(zetas, "no repetition ended", (all) => all.length > length),
    ),
  };
});
