/** The middle one, or the upper of the two; NaN of none. @since 0.1.0 */
export const median = (values: ReadonlyArray<number>): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
