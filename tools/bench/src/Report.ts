/**
 * How every bench prints: one table of figures, each as a ratio against a
 * named baseline that was measured in the same run, or the same as JSON.
 *
 * @since 0.1.0
 */
import { Console, Effect } from "effect";

/** One figure. @since 0.1.0 */
export interface Figure {
  /** What was measured. */
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The named baseline's value, in the same unit and run. */
  readonly baseline: { readonly name: string; readonly value: number };
  /** What the project aims at, in words. */
  readonly aim?: string;
}

const ratio = (figure: Figure): number => figure.value / figure.baseline.value;

const format = (value: number): string =>
  value >= 100 || value === 0 ? value.toFixed(0) : value.toPrecision(3);

/** Prints figures on stdout: a table, or with `--json` one document. @since 0.1.0 */
export const report = Effect.fn("report")(function* (
  title: string,
  figures: ReadonlyArray<Figure>,
) {
  if (process.argv.includes("--json")) {
    const rows = figures.map((figure) => ({ ...figure, ratio: ratio(figure) }));
    return yield* Console.log(JSON.stringify({ title, figures: rows }, null, 2));
  }
  yield* Console.log(title);
  for (const figure of figures) {
    const { name, value, unit, baseline, aim } = figure;
    const columns = [
      `  ${name.padEnd(44)} ${format(value).padStart(9)} ${unit}`.padEnd(66),
      `${ratio(figure).toFixed(3)} × ${baseline.name} (${format(baseline.value)} ${unit})`,
      aim === undefined ? "" : `  aim: ${aim}`,
    ];
    yield* Console.log(columns.join(" ").trimEnd());
  }
});
