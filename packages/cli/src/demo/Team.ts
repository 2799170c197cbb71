/**
 * The team of a running program: the threads that work.
 *
 * A thread counts when it is there and got CPU time between two looks. One that
 * a runtime keeps in reserve sleeps, and does not count; the adapting libgomp
 * ends those that it has too many of at the next parallel region.
 */
import { NumaKeys } from "@virtflex/topo-model";
import { type ThreadReport, threadsOf } from "@virtflex/omp-runtime-shim";
import { Effect } from "effect";
import type { RunningCg } from "./Cg.ts";

/** The threads that ran between two looks. */
export const busyOf = (
  before: ReadonlyArray<ThreadReport>,
  after: ReadonlyArray<ThreadReport>,
): ReadonlyArray<ThreadReport> =>
  after.filter(
    ({ tid, ranNanos }) => ranNanos > (before.find((thread) => thread.tid === tid)?.ranNanos ?? 0n),
  );

/** The threads that work in one whole repetition, and the CPUs that they may run on. */
export const teamOf = Effect.fnUntraced(function* (cg: RunningCg) {
  yield* cg.next;
  const before = yield* threadsOf(cg.pid);
  yield* cg.next;
  const busy = busyOf(before, yield* threadsOf(cg.pid));
  const cpus = NumaKeys.printCpuList(busy.flatMap(({ allowedCpus }) => allowedCpus));
  return { threads: busy.length, cpus };
});
