/** Random values and paths as a hostile guest would write them: from nothing, or from what is right, damaged. */
import { NumaKeys } from "@virtflex/topo-model";

export interface Random {
  readonly seed: number;
  /** A whole number from 0 on, below the bound. */
  readonly below: (bound: number) => number;
  readonly one: <A>(of: readonly [A, ...ReadonlyArray<A>]) => A;
}

/** The same numbers for the same seed (mulberry32). */
export const random = (seed: number): Random => {
  let state = seed;
  const below = (bound: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
  return { seed, below, one: (of) => of[below(of.length)] ?? of[0] };
};

const { path } = NumaKeys;

const right = [
  ...["0", "1", "4096", "1048576", "9007199254740991", "18446744073709551615", "online", "offline"],
  ...[
    "0-6,28-34",
    "0",
    "",
    "1 shrink 30000",
    "7 cancel 1",
    "1 accepted",
    "1 done",
    "2 failed busy",
  ],
  ...["1048576 online", "0 offline", "153600 evacuating", "1/2", "4194304/4194304"],
] as unknown as readonly [string, ...ReadonlyArray<string>];

const pieces = [
  ...[
    "-",
    ",",
    " ",
    "/",
    "\n",
    "\t",
    "0",
    "9",
    "00",
    "1e9",
    "0x10",
    "+1",
    ".5",
    "٣",
    "ｆ",
    "\u202e",
  ],
  ...[
    "__proto__",
    "constructor",
    "NaN",
    "Infinity",
    "null",
    "online",
    "failed",
    "\ud800",
    "\ufeff",
    "é",
  ],
  ...["99999999999999999999999999", "4294967296", "65536", "-1"],
] as unknown as readonly [string, ...ReadonlyArray<string>];

const piece = (r: Random): string =>
  r.below(3) === 0
    ? String.fromCodePoint(r.below(4) === 0 ? 1 + r.below(0xd7ff) : 1 + r.below(127))
    : r.one(pieces);

/** A text of at most `limit` characters. */
export const value = (r: Random, limit: number): string => {
  let text = r.below(4) === 0 ? "" : r.one(right);
  for (let edits = r.below(6); edits > 0; edits--) {
    const at = r.below(text.length + 1);
    switch (r.below(4)) {
      case 0:
        text = text.slice(0, at) + text.slice(at + 1 + r.below(3));
        break;
      case 1:
        text = text.slice(0, at) + text;
        break;
      default:
        text = text.slice(0, at) + piece(r) + text.slice(at);
    }
  }
  if (r.below(50) === 0) text = text.padEnd(limit, r.one(pieces));
  return text.slice(0, limit);
};

/** A key of the guest's own, or something like one. */
export const key = (r: Random): string => {
  const known = r.one([
    path.state,
    path.generation,
    path.runtimes,
    path.feature,
    path.nodeStatuses,
  ]);
  switch (r.below(5)) {
    case 0:
      return path.nodeStatus(r.below(4));
    case 1:
      return `${path.nodeStatuses}/${value(r, 40)}`;
    case 2:
      return `${known}/${value(r, 40)}`;
    case 3:
      return value(r, 80);
    default:
      return known;
  }
};
