/**
 * In which order vnodes can change pnodes, when each move needs its memory at
 * the new pnode before it frees the old one. pnodes are indices here.
 *
 * Moves straight to the goal are tried first, depth first: what is free depends only on the
 * set of moves done, so each set is looked at once. Where every straight order is stuck (two full pnodes that
 * exchange vnodes) the shortest way through other pnodes is searched breadth first. Both searches are complete
 * up to the budget of states that the caller gives.
 */

export interface Move {
  readonly from: number;
  readonly to: number;
  /** What is moved, and freed where it was. */
  readonly bytes: number;
  /** What must be free at `to`: not below `bytes`. */
  readonly needs: number;
}

/** One leg of the move with that index in the list. */
export interface Hop {
  readonly move: number;
  readonly from: number;
  readonly to: number;
}

/** States that searches may still look at. */
export interface Budget {
  states: number;
}

export type Order =
  | { readonly found: true; readonly hops: ReadonlyArray<Hop> }
  | { readonly found: false; readonly exhausted: boolean };

const spend = (budget: Budget): boolean => --budget.states >= 0;

const straight = (free: Array<number>, moves: ReadonlyArray<Move>, budget: Budget): Order => {
  const done = moves.map(() => "0");
  const seen = new Set<string>();
  const hops: Array<Hop> = [];
  let exhausted = true;
  const shift = ({ from, to, bytes, needs }: Move, sign: 1 | -1) => {
    free[to] = (free[to] ?? 0) - sign * needs;
    free[from] = (free[from] ?? 0) + sign * bytes;
  };
  const search = (): boolean => {
    if (hops.length === moves.length) return true;
    const key = done.join("");
    if (seen.has(key)) return false;
    seen.add(key);
    if (!spend(budget)) {
      exhausted = false;
      return false;
    }
    for (const [i, move] of moves.entries()) {
      if (done[i] === "1" || (free[move.to] ?? 0) < move.needs) continue;
      shift(move, 1);
      done[i] = "1";
      hops.push({ move: i, from: move.from, to: move.to });
      if (search()) return true;
      hops.pop();
      done[i] = "0";
      shift(move, -1);
    }
    return false;
  };
  return search() ? { found: true, hops } : { found: false, exhausted };
};

interface Reached {
  readonly at: ReadonlyArray<number>;
  readonly last: Hop | undefined;
  readonly before: Reached | undefined;
}

const path = (reached: Reached): ReadonlyArray<Hop> => {
  const hops: Array<Hop> = [];
  for (let state: Reached | undefined = reached; state !== undefined; state = state.before) {
    if (state.last !== undefined) hops.unshift(state.last);
  }
  return hops;
};

const staged = (free: ReadonlyArray<number>, moves: ReadonlyArray<Move>, budget: Budget): Order => {
  const goal = moves.map(({ to }) => to).join();
  const start: Reached = { at: moves.map(({ from }) => from), last: undefined, before: undefined };
  const seen = new Set([start.at.join()]);
  const queue = [start];
  const holds = ({ to, bytes, needs }: Move, pnode: number) => (pnode === to ? needs : bytes);
  for (const state of queue) {
    if (!spend(budget)) return { found: false, exhausted: false };
    const left = [...free];
    for (const [i, move] of moves.entries()) {
      const pnode = state.at[i] ?? move.from;
      left[move.from] = (left[move.from] ?? 0) + move.bytes;
      left[pnode] = (left[pnode] ?? 0) - holds(move, pnode);
    }
    for (const [i, move] of moves.entries()) {
      const from = state.at[i] ?? move.from;
      for (const [to, room] of left.entries()) {
        if (to === from || room < holds(move, to)) continue;
        const at = state.at.with(i, to);
        const key = at.join();
        if (seen.has(key)) continue;
        seen.add(key);
        const next = { at, last: { move: i, from, to }, before: state };
        if (key === goal) return { found: true, hops: path(next) };
        queue.push(next);
      }
    }
  }
  return { found: false, exhausted: true };
};

/** An order in which all moves can be done with this memory free on each pnode. */
export const orderMoves = (
  free: ReadonlyArray<number>,
  moves: ReadonlyArray<Move>,
  budget: Budget,
): Order => {
  const direct = straight([...free], moves, budget);
  return direct.found ? direct : staged(free, moves, budget);
};
