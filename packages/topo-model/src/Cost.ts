/**
 * What a plan is estimated to cost: the bytes that it moves and the seconds
 * that they take. Only memory traffic is counted: CPU hotplug, xenstore and the
 * runtimes' answers are milliseconds beside it.
 *
 * The model: memory goes in and out of a guest as superpages, what is left below 2 MiB as 4 KiB pages, at the
 * rates of `rates`. A vnode that leaves is taken to be full of 4 KiB pages in use, each of which the
 * guest copies to another node first: an upper bound, since the host can't know what is in use.
 *
 * @since 0.1.0
 */
import type { Cost } from "./Plan.ts";
import type { Step } from "./Step.ts";
import { GiB, pageBytes, superpageBytes } from "./Units.ts";

/**
 * Bytes per second. Balloon: luhsra/hyperalloc-bench, `inflate/out/inflate.dref` (virtio-balloon,
 * 20 GiB VM of 12 vCPUs, Linux 6.1): out is "reclaim touched", in is "return + first touch". Copying: `move_pages` by one
 * thread between nodes of a two-socket EPYC (Zen 3), "Accelerate page migration", linux-kernel, 2026.
 *
 * @since 0.1.0
 */
export const rates = {
  balloonOut: { small: 0.95 * GiB, superpage: 136 * GiB },
  balloonIn: { small: 0.69 * GiB, superpage: 4.24 * GiB },
  copy: { small: 3.31e9, superpage: 11.02e9 },
} as const;

const nothing: Cost = { bytes: 0, smallPages: 0, superpages: 0, seconds: 0 };

const sum = (a: Cost, b: Cost): Cost => ({
  bytes: a.bytes + b.bytes,
  smallPages: a.smallPages + b.smallPages,
  superpages: a.superpages + b.superpages,
  seconds: a.seconds + b.seconds,
});

const transfer = (
  bytes: number,
  rate: { readonly small: number; readonly superpage: number },
): Cost => {
  const superpages = Math.floor(bytes / superpageBytes);
  const rest = bytes - superpages * superpageBytes;
  return {
    bytes,
    smallPages: Math.ceil(rest / pageBytes),
    superpages,
    seconds: (bytes - rest) / rate.superpage + rest / rate.small,
  };
};

/** @since 0.1.0 */
export const costOfStep = (step: Step): Cost => {
  if (step._tag === "move") return transfer(step.bytes, rates.copy);
  if (step._tag !== "request") return nothing;
  return step.vnodes
    .map(({ targetBytes: { from, to } }): Cost => {
      if (to >= from) return transfer(to - from, rates.balloonIn);
      const out = transfer(from - to, rates.balloonOut);
      return { ...out, seconds: out.seconds + out.bytes / rates.copy.small };
    })
    .reduce(sum, nothing);
};

/** The steps' costs, added up: they are done one after another. @since 0.1.0 */
export const costOf = (steps: ReadonlyArray<Step>): Cost =>
  steps.map(costOfStep).reduce(sum, nothing);
