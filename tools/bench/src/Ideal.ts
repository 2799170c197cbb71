/**
 * What a run with one change in it takes, and what the ideal one would: until the request as it was, its own pace after from then on.
 *
 * @since 0.1.0
 */

/** A time, and the one that it is compared with. @since 0.1.0 */
export interface Pair {
  readonly value: number;
  readonly baseline: number;
}

/** The one of the median ratio. @since 0.1.0 */
export const typical = (pairs: ReadonlyArray<Pair>): Pair => {
  const ratio = ({ value, baseline }: Pair) => value / baseline;
  const sorted = [...pairs].sort((a, b) => ratio(a) - ratio(b));
  return sorted[Math.floor(sorted.length / 2)] ?? { value: Number.NaN, baseline: Number.NaN };
};

/**
 * Milliseconds of a repetition. Over all, not the median: what other load takes from some repetitions, before and after, isn't the
 * change's. @since 0.1.0
 */
export const pace = (ends: ReadonlyArray<number>): number =>
  ((ends.at(-1) ?? Number.NaN) - (ends[0] ?? Number.NaN)) / (ends.length - 1);

/**
 * Seconds from the end of the first repetition to that of the last: as it was, and as it had been with the pace `after` from the request on. The
 * pace `before` tells how much of the repetition in which the request fell was done by then. All arguments in milliseconds. @since 0.1.0
 */
export const againstIdeal = (
  ends: ReadonlyArray<number>,
  request: number,
  { before, after }: { readonly before: number; readonly after: number },
): Pair => {
  const first = ends[0] ?? Number.NaN;
  const done = ends.filter((at) => at <= request);
  const doneThen = done.length - 1 + (request - (done.at(-1) ?? Number.NaN)) / before;
  return {
    value: ((ends.at(-1) ?? Number.NaN) - first) / 1e3,
    baseline: (request - first + (ends.length - 1 - doneThen) * after) / 1e3,
  };
};
