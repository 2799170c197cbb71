/**
 * Progress of a change on stderr: a bar a step on a terminal, one line a step
 * elsewhere.
 */
import type { Step } from "@virtflex/topo-model";
import type { OnProgress, Progress } from "@virtflex/pipeline";
import { bar, dim, green, red, say, sketch, yellow } from "./Screen.ts";
import { stepText } from "./StepText.ts";

/** How far the guest's memory is on its way. */
const fractionOf = (step: Step, progress: Extract<Progress, { _tag: "StepProgress" }>): number => {
  if (step._tag !== "request") return 0;
  const done = progress.vnodes.map(({ vnode, actualBytes }) => {
    const way = step.vnodes.find((each) => each.vnode === vnode)?.targetBytes;
    if (way === undefined || actualBytes === undefined) return { at: 0, of: 0 };
    const of = Math.abs(way.to - way.from);
    return { of, at: Math.min(of, Math.abs(actualBytes - way.from)) };
  });
  const of = done.reduce((sum, part) => sum + part.of, 0);
  return of === 0 ? 1 : done.reduce((sum, part) => sum + part.at, 0) / of;
};

const duration = (ms: number) =>
  ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;

/** A view of one change. */
export const progressView = (): OnProgress => {
  let step: Step | undefined;
  let text = "";
  return (progress) => {
    const { index, total, direction } = progress;
    const count = `[${index + 1}/${total}]`;
    const undo = direction === "undo" ? yellow("undo ") : "";
    switch (progress._tag) {
      case "StepStarted":
        step = progress.step;
        text = `${count} ${undo}${stepText(step)}`;
        return sketch(`${bar(0)} ${text}`);
      case "StepProgress": {
        const { runtimes, state } = progress;
        const adapted =
          runtimes === undefined ? "" : `, ${runtimes.adapted}/${runtimes.known} programs adapted`;
        const fraction = step === undefined ? 0 : fractionOf(step, progress);
        return sketch(`${bar(fraction)} ${text}: ${state}${adapted}`);
      }
      case "StepDone":
        return say(`${green("✓")} ${text} ${dim(`(${duration(progress.elapsedMs)})`)}`);
      case "StepFailed":
        return say(
          `${red("✗")} ${text} ${dim(`(${duration(progress.elapsedMs)})`)}: ${progress.message}`,
        );
    }
  };
};
