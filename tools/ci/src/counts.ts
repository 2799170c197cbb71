/**
 * Reads the closing lines of test runners: Jest, ctest, and the plain
 * `N passed, M failed, K skipped`.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** @since 0.1.0 */
export const none: Counts = { passed: 0, failed: 0, skipped: 0 };

/** @since 0.1.0 */
export const add = (a: Counts, b: Counts): Counts => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
});

/** @since 0.1.0 */
export const format = (counts: Counts): string =>
  `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;

const number = (line: string, pattern: RegExp): number => Number(pattern.exec(line)?.[1] ?? 0);

const ofLine = (line: string): Counts => {
  if (/^Tests: +.*\d+ total$/.test(line)) {
    return {
      passed: number(line, /(\d+) passed/),
      failed: number(line, /(\d+) failed/),
      skipped: number(line, /(\d+) skipped/) + number(line, /(\d+) todo/),
    };
  }
  const ctest = /^\d+% tests passed, (\d+) tests failed out of (\d+)$/.exec(line);
  if (ctest !== null) {
    const failed = Number(ctest[1]);
    return { passed: Number(ctest[2]) - failed, failed, skipped: 0 };
  }
  // ctest counts a skipped test as passed, and names it on a line of its own.
  if (/^ *\d+\/\d+ Test +#\d+: .*\*\*\*Skipped/.test(line)) {
    return { passed: -1, failed: 0, skipped: 1 };
  }
  const plain = /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(line);
  return plain === null
    ? none
    : { passed: Number(plain[1]), failed: Number(plain[2]), skipped: Number(plain[3]) };
};

const linesOf = (text: string): ReadonlyArray<string> =>
  text
    .replace(/\u001b\[[0-9;]*m/g, "")
    .split("\n")
    .map((line) => line.trim());

/** The sum over all runners whose output is in `text`. @since 0.1.0 */
export const countsOf = (text: string): Counts => linesOf(text).map(ofLine).reduce(add, none);

/** The failed tests that Jest, ctest and DejaGnu name in `text`, each once. @since 0.1.0 */
export const failuresOf = (text: string): ReadonlyArray<string> => [
  ...new Set(
    linesOf(text).flatMap((line) => {
      const named =
        /^● (?!Console$)(.+)$/.exec(line) ??
        /^\d+ - (.+) \((?:Failed|Timeout|SEGFAULT|Subprocess aborted|Not Run)\)$/.exec(line) ??
        /^FAIL: (.+)$/.exec(line);
      return named?.[1] === undefined ? [] : [named[1]];
    }),
  ),
];
