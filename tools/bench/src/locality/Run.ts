/** A program that runs in the guest, and what the meter says of a stretch of it. */
import { type Lab, Meter, ModelledTime, Plugin, Reading } from "@virtflex/lab";
import { Effect } from "effect";
import { type App, folder } from "./Programs.ts";

/** What a stretch would have cost, and where its misses went. */
export interface Counted {
  /** Modelled time by the number of accesses: a stretch isn't cut to the access. */
  readonly nsPerAccess: number;
  readonly remoteShare: number;
  /** `matrix[node of the CPU][node of the memory]` */
  readonly misses: Reading.Matrix;
}

const accesses = (reading: Reading.Reading) =>
  Reading.matrixOf(reading, ["loads", "stores"])
    .flat()
    .reduce((sum, count) => sum + count, 0);

/** Starts it; the end of the scope ends it, and looks at its results. */
export const start = Effect.fn("Run.start")(function* (
  lab: Lab.Lab,
  guest: Lab.Host,
  app: App,
  environment: string,
) {
  const log = `${folder}/${app.name}.log`;
  const pid = `$(cat ${folder}/${app.name}.pid)`;
  const command =
    `cd ${folder} && { exec env OMP_PROC_BIND=true OMP_WAIT_POLICY=passive ${environment} ` +
    `setsid ./${app.name} ${app.args} --seconds 100000 </dev/null >${log} 2>&1 & echo $! >${app.name}.pid; }`;
  const end = guest.check(
    `kill ${pid} && kill -CONT ${pid}; while kill -0 ${pid} 2>/dev/null; do sleep 0.1; done; ! grep verified=no ${log}`,
  );
  yield* Effect.acquireRelease(guest.check(command), () => Effect.orDie(end));
  const socket = Plugin.socketOf(lab.status.state);

  /** Counts the next so many accesses of the program, or somewhat more. */
  const count = Effect.fnUntraced(function* (number: number) {
    yield* Meter.ask(socket, "reset");
    yield* Meter.ask(socket, "on");
    yield* Meter.ask(socket, "read").pipe(
      Effect.tap((reading) =>
        accesses(reading) < number ? Effect.sleep("200 millis") : Effect.void,
      ),
      Effect.repeat({ until: (reading) => accesses(reading) >= number }),
      Effect.timeout("10 minutes"),
    );
    const reading = yield* Meter.ask(socket, "off");
    const misses = Reading.misses(reading);
    return {
      nsPerAccess: ModelledTime.modelledNs(reading, lab.status.shape.distances) / accesses(reading),
      remoteShare: Reading.remoteShare(misses),
      misses,
    } satisfies Counted;
  });
  /** Others have the machine to themselves meanwhile. */
  const pause = guest.check(`kill -STOP ${pid}`);
  const resume = guest.check(`kill -CONT ${pid}`);
  return { count, pause, resume };
});

/** A program that runs. */
export type Run = Effect.Success<ReturnType<typeof start>>;
