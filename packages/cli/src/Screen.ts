/**
 * stderr as a terminal: colours and lines that are drawn anew, where it is one.
 */
import { Effect } from "effect";

/** https://no-color.org: any value but the empty one. */
const wantsColor = (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb";
const isTerminal = process.stderr.isTTY && process.env["TERM"] !== "dumb";
const hasColor = isTerminal && wantsColor;

/** Whether data for people may have colours. */
export const stdoutHasColor = process.stdout.isTTY && wantsColor;

const sgr = (code: number) => (text: string) => (hasColor ? `\x1b[${code}m${text}\x1b[0m` : text);

export const bold = sgr(1);
export const dim = sgr(2);
export const red = sgr(31);
export const green = sgr(32);
export const yellow = sgr(33);

const put = (text: string) => Effect.sync(() => void process.stderr.write(text));

/** A line that stays. */
export const say = (text: string): Effect.Effect<void> =>
  put(isTerminal ? `\r\x1b[K${text}\n` : `${text}\n`);

/** A line that the next one overwrites; nothing where there is no terminal. */
export const sketch = (text: string): Effect.Effect<void> => {
  const width = process.stderr.columns || 80;
  return isTerminal ? put(`\r\x1b[K${text.slice(0, width - 1)}`) : Effect.void;
};

/** Of the width, the part that is done; eighths of a character where it ends. */
export const bar = (fraction: number, width = 24): string => {
  const eighths = Math.round(Math.min(1, Math.max(0, fraction)) * width * 8);
  const full = "█".repeat(Math.floor(eighths / 8));
  const part = eighths % 8 === 0 ? "" : String.fromCodePoint(0x2590 - (eighths % 8));
  return (full + part).padEnd(width, "░");
};
