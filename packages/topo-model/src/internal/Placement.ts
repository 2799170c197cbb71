/**
 * Where the vnodes of a plan go, and in which order they move there, so that
 * no pnode ever lacks memory.
 *
 * What gives memory back (shrink, lower) goes first and what only takes it (balloon-ins) last: that
 * order makes no plan impossible that another makes possible. Between them vnodes move. Only
 * vnodes that the changes name ever do.
 */
import { Result } from "effect";
import type { Guest } from "../Guest.ts";
import type { PnodeId } from "../Ids.ts";
import { PlanRefused, type RefusalCode, type Shortage } from "../PlanRefused.ts";
import { formatBytes } from "../Units.ts";
import { add, type Ground } from "./Ground.ts";
import { type Budget, type Move, orderMoves } from "./Moves.ts";
import type { Task } from "./Tasks.ts";

/** One leg of a vnode's way to the pnode where it shall be. */
export interface TaskHop {
  readonly task: Task;
  readonly from: PnodeId;
  readonly to: PnodeId;
  /** Whether the vnode stays there. */
  readonly last: boolean;
}

export interface Arrangement {
  /** All tasks; those that expand with the pnode that was chosen for them. */
  readonly tasks: ReadonlyArray<Task>;
  readonly hops: ReadonlyArray<TaskHop>;
}

/** States that the searches of one plan look at before it is refused with `SEARCH_BOUND`. */
const searchBound = 20_000;

/** What a vnode that moves needs at its new pnode: it may still be on the way to its target. */
const holds = ({ kind, vnode }: Task): number =>
  kind === "expand" ? vnode.actualBytes : Math.max(vnode.actualBytes, vnode.targetBytes);

const grows = ({ vnode, targetBytes }: Task): number =>
  Math.max(0, targetBytes - vnode.actualBytes);

const movesTo = ({ vnode, pnode }: Task): boolean => vnode.pnode !== pnode;

const isTaking = ({ kind }: Task): boolean => kind === "expand" || kind === "raise";

/** What each pnode must give at most and what it has for it, the tasks going where they say. */
export const balanceOf = (ground: Ground, tasks: ReadonlyArray<Task>) => {
  const needed = ground.free.map(() => 0);
  const available = [...ground.free];
  for (const task of tasks) {
    const to = ground.indexOf(task.pnode);
    if (movesTo(task)) {
      add(needed, to, holds(task));
      add(available, ground.indexOf(task.vnode.pnode), task.vnode.actualBytes);
    }
    if (isTaking(task)) add(needed, to, grows(task));
  }
  return { needed, available };
};

const shortagesOf = (ground: Ground, tasks: ReadonlyArray<Task>): ReadonlyArray<Shortage> => {
  const { needed, available } = balanceOf(ground, tasks);
  return needed.flatMap((neededBytes, i) => {
    const freeBytes = available[i] ?? 0;
    return neededBytes > freeBytes ? [{ pnode: ground.pnodeAt(i).id, neededBytes, freeBytes }] : [];
  });
};

const lack = ({ pnode, neededBytes, freeBytes }: Shortage): string =>
  `pnode ${pnode} lacks ${formatBytes(neededBytes - freeBytes)}: ` +
  `${formatBytes(neededBytes)} needed, ${formatBytes(freeBytes)} free`;

const refuse = (
  code: RefusalCode,
  tasks: ReadonlyArray<Task>,
  shortages: ReadonlyArray<Shortage>,
  more: ReadonlyArray<string>,
) => {
  const short = new Set(shortages.map(({ pnode }) => pnode));
  const taker = tasks.find((task) => short.has(task.pnode) && (movesTo(task) || isTaking(task)));
  const field = taker?.field ?? "changes";
  const detail = [...shortages.map(lack), ...more].join("; ");
  return Result.fail(new PlanRefused({ code, field, detail, shortages }));
};

const hopsOf = (ground: Ground, tasks: ReadonlyArray<Task>, budget: Budget) => {
  const movers = tasks.filter(movesTo);
  const moves = movers.map((task): Move => {
    const from = ground.indexOf(task.vnode.pnode);
    const to = ground.indexOf(task.pnode);
    return { from, to, bytes: task.vnode.actualBytes, needs: holds(task) };
  });
  const order = orderMoves(ground.free, moves, budget);
  if (!order.found) return order;
  const lastOf = new Map(order.hops.map((hop) => [hop.move, hop]));
  const hops = order.hops.flatMap((hop): ReadonlyArray<TaskHop> => {
    const task = movers[hop.move];
    if (task === undefined) return [];
    const from = ground.pnodeAt(hop.from).id;
    const to = ground.pnodeAt(hop.to).id;
    return [{ task, from, to, last: lastOf.get(hop.move) === hop }];
  });
  return { found: true, hops } as const;
};

/** Indices of the pnodes that back the guest's online vnodes, vnodes that expand left out. */
const anchorsOf = (ground: Ground, guest: Guest, tasks: ReadonlyArray<Task>): Array<number> => {
  const after = new Map(tasks.map((task) => [task.vnode, task]));
  return guest.vnodes.flatMap((vnode) => {
    const task = after.get(vnode);
    const stays = task === undefined ? vnode.desired === "online" : task.kind !== "shrink";
    return stays && task?.kind !== "expand" ? [ground.indexOf(task?.pnode ?? vnode.pnode)] : [];
  });
};

/**
 * Every pnode that could back a vnode, best first: its own; then those that the
 * guest does not use yet before those that it does (two vnodes on one pnode
 * share its memory controllers), each by distance to the guest's other online vnodes,
 * there and back, then by free memory.
 */
const candidatesOf = (
  ground: Ground,
  { vnode }: Task,
  anchors: ReadonlyArray<number>,
  left: ReadonlyArray<number>,
): ReadonlyArray<number> => {
  const home = ground.indexOf(vnode.pnode);
  const { distances, pnodes } = ground.host;
  const ranks = pnodes.flatMap(({ pcpus }, index) => {
    if (index !== home && pcpus.length === 0 && vnode.vcpus.length > 0) return [];
    const used = index === home ? -1 : anchors.includes(index) ? 1 : 0;
    let distance = 0;
    for (const anchor of anchors) {
      distance += (distances[anchor]?.[index] ?? 0) + (distances[index]?.[anchor] ?? 0);
    }
    return [{ index, used, distance, left: left[index] ?? 0 }];
  });
  ranks.sort((a, b) => a.used - b.used || a.distance - b.distance || b.left - a.left);
  return ranks.map(({ index }) => index);
};

type Found = { readonly found: true } & Arrangement;
type NotFound = {
  readonly found: false;
  /** Tasks that would all fit, but none of which can move first. */
  readonly blocked: ReadonlyArray<Task> | undefined;
  readonly exhausted: boolean;
};

/** Searches the expanding vnodes' pnodes, depth first with the best first. */
const search = (ground: Ground, tasks: ReadonlyArray<Task>): Found | NotFound => {
  const budget: Budget = { states: searchBound };
  const expanding = tasks.filter(({ kind }) => kind === "expand");
  const others = tasks.filter(({ kind }) => kind !== "expand");
  // What would be left of each pnode were the expanding vnodes nowhere.
  const { needed, available } = balanceOf(ground, others);
  const left = available.map((bytes, i) => bytes - (needed[i] ?? 0));
  for (const { vnode } of expanding) add(left, ground.indexOf(vnode.pnode), vnode.actualBytes);
  if (left.some((bytes) => bytes < 0)) return { found: false, blocked: undefined, exhausted: true };
  const anchors = new Map<Guest, Array<number>>();
  for (const { guest } of expanding) {
    if (!anchors.has(guest)) anchors.set(guest, anchorsOf(ground, guest, tasks));
  }
  const chosen = new Map<Task, PnodeId>();
  let exhausted = true;
  let blocked: ReadonlyArray<Task> | undefined;
  const descend = (depth: number): Arrangement | undefined => {
    const task = expanding[depth];
    if (task === undefined) {
      const placed = tasks.map((each) => ({ ...each, pnode: chosen.get(each) ?? each.pnode }));
      const order = hopsOf(ground, placed, budget);
      if (order.found) return { tasks: placed, hops: order.hops };
      blocked ??= placed;
      exhausted &&= order.exhausted;
      return undefined;
    }
    if (--budget.states < 0) {
      exhausted = false;
      return undefined;
    }
    const around = anchors.get(task.guest) ?? [];
    const bytes = Math.max(task.targetBytes, task.vnode.actualBytes);
    for (const index of candidatesOf(ground, task, around, left)) {
      if ((left[index] ?? 0) < bytes) continue;
      add(left, index, -bytes);
      around.push(index);
      chosen.set(task, ground.pnodeAt(index).id);
      const found = descend(depth + 1);
      if (found !== undefined) return found;
      chosen.delete(task);
      around.pop();
      add(left, index, bytes);
    }
    return undefined;
  };
  const found = descend(0);
  return found === undefined ? { found: false, blocked, exhausted } : { found: true, ...found };
};

const boundReached = `the search ended at its bound of ${searchBound} states`;

const refuseOrder = (ground: Ground, tasks: ReadonlyArray<Task>, exhausted: boolean) => {
  const movers = tasks.filter(movesTo);
  const shortages = movers.flatMap((task): ReadonlyArray<Shortage> => {
    const freeBytes = ground.free[ground.indexOf(task.pnode)] ?? 0;
    const neededBytes = holds(task);
    return neededBytes > freeBytes ? [{ pnode: task.pnode, neededBytes, freeBytes }] : [];
  });
  return exhausted
    ? refuse("NO_ORDER", movers, shortages, ["no vnode of the plan can make room first"])
    : refuse("SEARCH_BOUND", movers, shortages, [boundReached]);
};

/** Where and in which order, or which pnode lacks how much. */
export const arrange = (
  ground: Ground,
  tasks: ReadonlyArray<Task>,
  allowOtherPnode: boolean,
): Result.Result<Arrangement, PlanRefused> => {
  const shortages = shortagesOf(ground, tasks);
  if (shortages.length === 0) {
    const order = hopsOf(ground, tasks, { states: searchBound });
    if (order.found) return Result.succeed({ tasks, hops: order.hops });
    if (!allowOtherPnode) return refuseOrder(ground, tasks, order.exhausted);
  } else if (!allowOtherPnode) {
    return refuse("NO_MEMORY", tasks, shortages, []);
  }
  const outcome = search(ground, tasks);
  if (outcome.found) return Result.succeed(outcome);
  if (!outcome.exhausted) return refuse("SEARCH_BOUND", tasks, shortages, [boundReached]);
  if (outcome.blocked !== undefined) return refuseOrder(ground, outcome.blocked, true);
  return refuse("NO_MEMORY", tasks, shortages, ["no other pnode has room"]);
};
