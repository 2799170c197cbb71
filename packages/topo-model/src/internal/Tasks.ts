/**
 * From what an operator asks for to one task a vnode, or the refusal of a
 * request that makes no sense on this host whatever memory is free.
 */
import { Result } from "effect";
import type { Guest, Vnode } from "../Guest.ts";
import type { PnodeId, VnodeId } from "../Ids.ts";
import { type LowTargetParameters, lowTargetBytes } from "../LowTarget.ts";
import { PlanRefused, type RefusalCode } from "../PlanRefused.ts";
import { homeVnode, type Topology } from "../Topology.ts";
import type { Rehome, Resize, TopologyChange } from "../TopologyChange.ts";
import { formatBytes, superpageBytes } from "../Units.ts";

/** One vnode and what shall be of it. */
export interface Task {
  /** `lower` and `raise` are a resize by its effect on memory. */
  readonly kind: "shrink" | "lower" | "rehome" | "expand" | "raise";
  /** The part of the request that it comes from. */
  readonly field: string;
  readonly guest: Guest;
  readonly vnode: Vnode;
  readonly targetBytes: number;
  /** Where the vnode shall be. */
  readonly pnode: PnodeId;
}

type Checked<A> = Result.Result<A, PlanRefused>;

const refuse = (code: RefusalCode, field: string, detail: string) =>
  Result.fail(new PlanRefused({ code, field, detail, shortages: [] }));

const findVnode = (guest: Guest, id: VnodeId, field: string): Checked<Vnode> => {
  const vnode = guest.vnodes.find((candidate) => candidate.id === id);
  return vnode === undefined
    ? refuse("UNKNOWN_VNODE", field, `domain ${guest.domain} has no vnode ${id}`)
    : Result.succeed(vnode);
};

const expandTask = (guest: Guest, vnode: Vnode, field: string): Checked<Task> =>
  vnode.desired === "online"
    ? refuse("ALREADY_ONLINE", field, `vnode ${vnode.id} is online already`)
    : Result.succeed({
        kind: "expand",
        field,
        guest,
        vnode,
        targetBytes: vnode.capacityBytes,
        pnode: vnode.pnode,
      });

const shrinkTask = (
  guest: Guest,
  vnode: Vnode,
  field: string,
  parameters: LowTargetParameters,
): Checked<Task> =>
  vnode.desired === "offline"
    ? refuse("ALREADY_OFFLINE", field, `vnode ${vnode.id} is offline already`)
    : Result.succeed({
        kind: "shrink",
        field,
        guest,
        vnode,
        targetBytes: Math.min(lowTargetBytes(guest, vnode, parameters), vnode.actualBytes),
        pnode: vnode.pnode,
      });

const resizeTask = (
  guest: Guest,
  { vnode: id, targetBytes }: Resize,
  field: string,
  parameters: LowTargetParameters,
): Checked<Task> =>
  Result.gen(function* () {
    const vnode = yield* findVnode(guest, id, `${field}.vnode`);
    const at = `${field}.targetBytes`;
    if (vnode.desired === "offline") {
      return yield* refuse("NOT_ONLINE", `${field}.vnode`, `vnode ${id} is offline`);
    }
    const { capacityBytes } = vnode;
    const asked = `${formatBytes(targetBytes)} (${targetBytes} bytes)`;
    if (targetBytes > capacityBytes) {
      const most = `vnode ${id} can have ${formatBytes(capacityBytes)} (${capacityBytes} bytes)`;
      return yield* refuse("ABOVE_CAPACITY", at, `${asked} asked for, and ${most}`);
    }
    const low = lowTargetBytes(guest, vnode, parameters);
    if (targetBytes < low) {
      const least = `vnode ${id} needs ${formatBytes(low)} (${low} bytes)`;
      return yield* refuse("BELOW_LOW_TARGET", at, `${asked} asked for, and ${least}`);
    }
    if (targetBytes % superpageBytes !== 0 && targetBytes !== capacityBytes) {
      return yield* refuse("NOT_SUPERPAGES", at, `${asked} is no multiple of 2 MiB`);
    }
    if (targetBytes === vnode.targetBytes) {
      return yield* refuse("ALREADY_AT_TARGET", at, `vnode ${id} has that target already`);
    }
    const kind = targetBytes <= vnode.actualBytes ? "lower" : "raise";
    return { kind, field, guest, vnode, targetBytes, pnode: vnode.pnode };
  });

const rehomeTask = (
  { host }: Topology,
  guest: Guest,
  { vnode: id, pnode: to }: Rehome,
  field: string,
): Checked<Task> =>
  Result.gen(function* () {
    const vnode = yield* findVnode(guest, id, `${field}.vnode`);
    const pnode = host.pnodes.find((candidate) => candidate.id === to);
    const at = `${field}.pnode`;
    if (pnode === undefined) {
      return yield* refuse("UNKNOWN_PNODE", at, `the host has no pnode ${to}`);
    }
    if (vnode.pnode === to) {
      return yield* refuse("ALREADY_ON_PNODE", at, `vnode ${id} is on pnode ${to} already`);
    }
    if (pnode.pcpus.length === 0 && vnode.vcpus.length > 0) {
      return yield* refuse("NO_PCPUS", at, `pnode ${to} has no pcpu for the vcpus of vnode ${id}`);
    }
    return { kind: "rehome", field, guest, vnode, targetBytes: vnode.targetBytes, pnode: to };
  });

const tasksOf = (
  topology: Topology,
  guest: Guest,
  change: TopologyChange,
  field: string,
  parameters: LowTargetParameters,
): Checked<ReadonlyArray<Task>> =>
  Result.gen(function* () {
    if (change._tag === "resize") return [yield* resizeTask(guest, change, field, parameters)];
    if (change._tag === "rehome") return [yield* rehomeTask(topology, guest, change, field)];
    if (change.vnodes.length === 0) {
      return yield* refuse("NOTHING_TO_DO", `${field}.vnodes`, "no vnode is named");
    }
    const tasks: Array<Task> = [];
    for (const [i, id] of change.vnodes.entries()) {
      const at = `${field}.vnodes[${i}]`;
      const vnode = yield* findVnode(guest, id, at);
      tasks.push(
        change._tag === "expand"
          ? yield* expandTask(guest, vnode, at)
          : yield* shrinkTask(guest, vnode, at, parameters),
      );
    }
    return tasks;
  });

const checkNamedOnce = (tasks: ReadonlyArray<Task>): Checked<void> => {
  const first = new Map<Vnode, Task>();
  for (const task of tasks) {
    const other = first.get(task.vnode);
    if (other !== undefined) {
      const detail = `vnode ${task.vnode.id} of domain ${task.guest.domain} is in ${other.field} too`;
      return refuse("NAMED_TWICE", task.field, detail);
    }
    first.set(task.vnode, task);
  }
  return Result.void;
};

const checkStays = (tasks: ReadonlyArray<Task>): Checked<void> => {
  const leaving = new Map<Guest, number>();
  for (const { kind, guest } of tasks) {
    if (kind === "shrink") leaving.set(guest, (leaving.get(guest) ?? 0) + 1);
  }
  for (const { kind, field, guest, vnode } of tasks) {
    if (kind !== "shrink" || vnode !== homeVnode(guest)) continue;
    const online = guest.vnodes.filter(({ desired }) => desired === "online").length;
    const name = `domain ${guest.domain}`;
    return leaving.get(guest) === online
      ? refuse("LAST_VNODE", field, `no vnode of ${name} would stay online`)
      : refuse("HOME_VNODE", field, `vnode ${vnode.id} of ${name} has vcpu 0 and can't leave`);
  }
  return Result.void;
};

export const checkChanges = (
  topology: Topology,
  changes: ReadonlyArray<TopologyChange>,
  parameters: LowTargetParameters,
): Checked<ReadonlyArray<Task>> =>
  Result.gen(function* () {
    if (changes.length === 0) return yield* refuse("NOTHING_TO_DO", "changes", "none is given");
    const guests = new Map(topology.guests.map((guest) => [guest.domain, guest]));
    const tasks: Array<Task> = [];
    for (const [i, change] of changes.entries()) {
      const field = `changes[${i}]`;
      const guest = guests.get(change.domain);
      if (guest === undefined) {
        const detail = `the host has no domain ${change.domain}`;
        return yield* refuse("UNKNOWN_DOMAIN", `${field}.domain`, detail);
      }
      tasks.push(...(yield* tasksOf(topology, guest, change, field, parameters)));
    }
    yield* checkNamedOnce(tasks);
    yield* checkStays(tasks);
    return tasks;
  });
