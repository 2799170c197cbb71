/**
 * The threads of a running process, as the kernel tells of them in /proc.
 *
 * A thread counts as busy when it got CPU time since it was last looked at
 * (/proc/<pid>/task/<tid>/schedstat, field 1, nanoseconds): one that a runtime
 * keeps in reserve sleeps and does not count.
 */
import { Effect, FileSystem, Schema } from "effect";

/** The process is no more, or /proc does not tell. */
export class ProcessGone extends Schema.TaggedError<ProcessGone>()("ProcessGone", {
  pid: Schema.Int,
}) {
  readonly code = "PROCESS_GONE";
  override get message(): string {
    return `Process ${this.pid} is gone`;
  }
}

export interface Thread {
  readonly tid: number;
  /** CPU time that it has had. */
  readonly ranNanoseconds: bigint;
  /** CPUs that it may run on: `0-1,4`. */
  readonly affinity: string;
}

/** Every thread that is there now. */
export const threadsOf = Effect.fnUntraced(function* (pid: number) {
  const fs = yield* FileSystem.FileSystem;
  const directory = `/proc/${pid}/task`;
  const names = yield* Effect.mapError(fs.readDirectory(directory), () => new ProcessGone({ pid }));
  const threads = yield* Effect.forEach(names, (tid) =>
    Effect.all([
      fs.readFileString(`${directory}/${tid}/schedstat`),
      fs.readFileString(`${directory}/${tid}/status`),
    ]).pipe(
      Effect.map(([schedstat, status]): Thread => ({
        tid: Number(tid),
        ranNanoseconds: BigInt(schedstat.split(" ")[0] ?? 0),
        affinity: /^Cpus_allowed_list:\t(.*)$/m.exec(status)?.[1] ?? "",
      })),
      // It ended between the list and the look.
      Effect.option,
    ),
  );
  return threads.flatMap((thread) => (thread._tag === "Some" ? [thread.value] : []));
});

/** The threads that ran between two looks. */
export const busyOf = (
  before: ReadonlyArray<Thread>,
  after: ReadonlyArray<Thread>,
): ReadonlyArray<Thread> =>
  after.filter(
    ({ tid, ranNanoseconds }) =>
      ranNanoseconds > (before.find((thread) => thread.tid === tid)?.ranNanoseconds ?? 0n),
  );
