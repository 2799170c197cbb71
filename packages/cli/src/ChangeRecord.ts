/**
 * What a change was like, for its JSON document: when each step ran, and what the hypervisor had free before and after.
 */
import type { OnProgress } from "@virtflex/pipeline";
import type { Host } from "@virtflex/topo-model";
import { Hypervisor } from "@virtflex/xen-control";
import { Clock, Effect } from "effect";

interface StepTimes {
  readonly tag: string;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
}

/** Of a change that begins on this host. */
export const makeRecord = Effect.fnUntraced(function* (before: Host) {
  const hypervisor = yield* Hypervisor;
  const steps: Array<StepTimes> = [];

  const onProgress: OnProgress = Effect.fnUntraced(function* (progress) {
    if (progress.direction === "undo") return;
    const at = yield* Clock.currentTimeMillis;
    const { index } = progress;
    if (progress._tag === "StepStarted") {
      steps[index] = { tag: progress.step._tag, startedAtMs: at };
    } else if (progress._tag === "StepDone" && steps[index] !== undefined) {
      steps[index] = { ...steps[index], endedAtMs: at };
    }
  });

  const document = Effect.map(hypervisor.host, ({ pnodes }) => ({
    steps,
    freeBytes: pnodes.map(({ id, freeBytes }) => ({
      pnode: id,
      before: before.pnodes.find((pnode) => pnode.id === id)?.freeBytes ?? 0,
      after: freeBytes,
    })),
  }));
  return { onProgress, document };
});
