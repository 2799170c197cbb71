/**
 * Known truth for the meter: a program (`numa-meter/test/walk.c`) on a CPU of each node walks memory of each node. Its misses must be in
 * the cell of the two nodes, and as many as it has lines.
 *
 * @since 0.1.0
 */
import { Effect } from "effect";
import { ask } from "./Meter.ts";
import { misses } from "./Reading.ts";

/** The walker's instructions, and no others. @since 0.1.0 */
export const walkerOnly: ReadonlyArray<string> = ["code=60000000-61000000"];

/** Of the walker's misses in the right cell, at least. */
const leastShare = 0.95;

/** The most by which their number may differ from what it must be. */
const tolerance = 0.01;

/** Far larger than the meter's cache, so that each line misses once a pass. @since 0.1.0 */
export interface Walk {
  readonly mib: number;
  readonly passes: number;
}

/** What was counted of a walk. @since 0.1.0 */
export interface Walked {
  /** The node of the CPU. */
  readonly from: number;
  /** The node of the memory. */
  readonly to: number;
  /** Of the walker's misses, those in the cell of the two nodes. */
  readonly share: number;
  /** Misses in that cell, as a multiple of the lines walked. */
  readonly lines: number;
  readonly good: boolean;
}

/** Walks from each node over each node's memory, on a machine with the meter at `socket`. @since 0.1.0 */
export const walkPairs = <E, R>(
  nodes: number,
  socket: string,
  { mib, passes }: Walk,
  walk: (from: number, to: number) => Effect.Effect<unknown, E, R>,
) => {
  const each = Array.from({ length: nodes }, (_, node) => node);
  const pairs = each.flatMap((from) => each.map((to) => [from, to] as const));
  const expected = (passes * mib * 2 ** 20) / 64;
  return Effect.forEach(pairs, ([from, to]) =>
    Effect.gen(function* () {
      yield* walk(from, to);
      const matrix = misses(yield* ask(socket, "read"));
      const all = matrix.flat().reduce((sum, count) => sum + count, 0);
      const right = matrix[from]?.[to] ?? 0;
      const share = all === 0 ? 0 : right / all;
      const lines = right / expected;
      const good = share >= leastShare && Math.abs(lines - 1) <= tolerance;
      return { from, to, share, lines, good } satisfies Walked;
    }),
  );
};
