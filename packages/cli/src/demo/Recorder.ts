/**
 * Writes down what happens during a demonstration, and when.
 */
import { threadsOf } from "@virtflex/omp-runtime-shim";
import type { OnProgress } from "@virtflex/pipeline";
import { Clock, Effect, Schedule } from "effect";
import { progressView } from "../ProgressView.ts";
import type { Timeline, TimelinePhase, VnodeChange } from "./Timeline.ts";

/** Of a process, and of the vnodes that are in use when it starts. */
export const makeRecorder = Effect.fn("makeRecorder")(function* (
  pid: number,
  vnodes: ReadonlyArray<number>,
) {
  const began = yield* Clock.monotonicTimeNanos;
  const now = Effect.map(
    Clock.monotonicTimeNanos,
    (time) => Math.round(Number(time - began) / 1e3) / 1e3,
  );
  const samples: Array<Timeline["samples"][number]> = [];
  const changes: Array<VnodeChange> = vnodes.map((vnode) => ({ at: 0, vnode, state: "online" }));
  const phases: Array<TimelinePhase> = [];

  yield* threadsOf(pid).pipe(
    Effect.zip(now),
    Effect.map(([threads, at]) => samples.push({ at, threads: threads.length })),
    Effect.repeat(Schedule.spaced("20 millis")),
    Effect.ignore,
    Effect.forkScoped,
  );

  /** Follows one change; `generation` is the one that the program knows. */
  const startPhase = Effect.fnUntraced(function* (op: string, generation: bigint | undefined) {
    const view = progressView();
    const started = yield* now;
    let known = generation;
    let requested: number | undefined;
    let adapted: number | undefined;

    const onProgress: OnProgress = Effect.fnUntraced(function* (progress) {
      const at = yield* now;
      yield* view(progress);
      if (progress.direction === "undo") return;
      if (progress._tag === "StepStarted" && progress.step._tag === "request") requested = at;
      if (progress._tag !== "StepProgress") return;
      for (const { vnode, state } of progress.vnodes) {
        const last = changes.findLast((change) => change.vnode === vnode);
        if (state !== undefined && state !== last?.state) changes.push({ at, vnode, state });
      }
      const { runtimes } = progress;
      const all =
        runtimes !== undefined && runtimes.known > 0 && runtimes.adapted === runtimes.known;
      if (all && progress.generation !== known) {
        known = progress.generation;
        adapted = at;
      }
    });

    const end = Effect.fnUntraced(function* (result: TimelinePhase["result"]) {
      const ended = yield* now;
      phases.push({ op, started, adapted, ended, result });
      const between = (from: number, to: number) => Math.round((to - from) * 1e3) / 1e3;
      const adaptedMs =
        adapted === undefined || requested === undefined ? null : between(requested, adapted);
      return { adaptedMs, elapsedMs: between(started, ended) };
    });
    return { onProgress, end };
  });

  const timeline = Effect.fnUntraced(function* (title: string) {
    return { title, end: yield* now, samples, vnodes: changes, phases } satisfies Timeline;
  });
  return { startPhase, timeline };
});
export type Recorder = Effect.Success<ReturnType<typeof makeRecorder>>;
