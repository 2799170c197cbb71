/**
 * From an arrangement to the steps that carry it out, in an order in which a
 * host always has what the next step needs.
 */
import type { Guest } from "../Guest.ts";
import type { PcpuId, PnodeId, VcpuId } from "../Ids.ts";
import type { RequestOp, RequestStep, Step } from "../Step.ts";
import type { Ground } from "./Ground.ts";
import type { Arrangement, TaskHop } from "./Placement.ts";
import type { Task } from "./Tasks.ts";

const opposite = {
  expand: "shrink",
  shrink: "expand",
  rehome: "rehome",
  resize: "resize",
} as const;

type Group = readonly [Task, ...ReadonlyArray<Task>];

const growthOf = (tasks: ReadonlyArray<Task>): number =>
  tasks.reduce((sum, { vnode, targetBytes }) => sum + targetBytes - vnode.targetBytes, 0);

const request = (op: RequestOp, tasks: Group, totals: Totals): Step => ({
  _tag: "request",
  domain: tasks[0].guest.domain,
  op: { from: opposite[op], to: op },
  vnodes: tasks.map(({ vnode, pnode, targetBytes }) => ({
    vnode: vnode.id,
    pnode: { from: vnode.pnode, to: pnode },
    targetBytes: { from: vnode.targetBytes, to: targetBytes },
    desired: {
      from: vnode.desired,
      to: op === "expand" ? "online" : op === "shrink" ? "offline" : vnode.desired,
    },
  })),
  ...totals.target(tasks),
});

const reserve = (guest: Guest, pnode: PnodeId, bytes: number, totals: Totals): Step => ({
  _tag: "reserve",
  domain: guest.domain,
  pnode,
  reservedBytes: { from: 0, to: bytes },
  limitBytes: totals.limitBytes(guest),
});

const vcpus = (guest: Guest, tasks: ReadonlyArray<Task>, online: boolean): ReadonlyArray<Step> => {
  const members = new Set(tasks.flatMap(({ vnode }) => vnode.vcpus));
  const changing = guest.vcpus.filter((vcpu) => members.has(vcpu.id) && vcpu.online !== online);
  return changing.length === 0
    ? []
    : [
        {
          _tag: "vcpus",
          domain: guest.domain,
          vcpus: changing.map(({ id }) => id),
          online: { from: !online, to: online },
        },
      ];
};

/** vCPUs that may run outside their vnode's pnode are pinned to it; a finer affinity is kept. */
const pins = (ground: Ground, { guest, vnode, pnode }: Task): ReadonlyArray<Step> => {
  const { pcpus } = ground.pnodeAt(ground.indexOf(pnode));
  if (pcpus.length === 0) return [];
  const inside = new Set(pcpus);
  const members = new Set(vnode.vcpus);
  const groups = new Map<string, { vcpus: Array<VcpuId>; from: ReadonlyArray<PcpuId> }>();
  for (const { id, affinity } of guest.vcpus) {
    if (!members.has(id) || affinity.every((pcpu) => inside.has(pcpu))) continue;
    const key = affinity.join();
    const group = groups.get(key) ?? { vcpus: [], from: affinity };
    group.vcpus.push(id);
    groups.set(key, group);
  }
  return [...groups.values()].map((group) => ({
    _tag: "pin",
    domain: guest.domain,
    vcpus: group.vcpus,
    pcpus: { from: group.from, to: pcpus },
  }));
};

/**
 * What is said of a domain as a whole moves with its vnodes' targets, so that what it is above or
 * below their sum stays as it was: memory that belongs to no vnode, or that the guest's own balloon has.
 */
class Totals {
  readonly #limits = new Map<Guest, { limit: number; targets: number }>();
  readonly #targets = new Map<Guest, number>();

  limitBytes(guest: Guest): number {
    return this.#limits.get(guest)?.limit ?? guest.limitBytes;
  }

  limit(guest: Guest, tasks: ReadonlyArray<Task>): ReadonlyArray<Step> {
    const { limit: from, targets } = this.#limits.get(guest) ?? {
      limit: guest.limitBytes,
      targets: guest.vnodes.reduce((sum, { targetBytes }) => sum + targetBytes, 0),
    };
    const growth = growthOf(tasks);
    const to = Math.max(from + growth, targets + growth);
    this.#limits.set(guest, { limit: to, targets: targets + growth });
    return from === to ? [] : [{ _tag: "limit", domain: guest.domain, limitBytes: { from, to } }];
  }

  target(tasks: Group): Pick<RequestStep, "targetBytes"> {
    const [{ guest }] = tasks;
    const from = this.#targets.get(guest) ?? guest.targetBytes;
    if (from === undefined) return {};
    const to = Math.max(0, from + growthOf(tasks));
    this.#targets.set(guest, to);
    return from === to ? {} : { targetBytes: { from, to } };
  }
}

/** Tasks of these kinds by guest, in the order of the request. */
const byGuest = (tasks: ReadonlyArray<Task>, kind: Task["kind"]) => {
  const groups = new Map<Guest, [Task, ...Array<Task>]>();
  for (const task of tasks) {
    if (task.kind !== kind) continue;
    const group = groups.get(task.guest);
    if (group === undefined) groups.set(task.guest, [task]);
    else group.push(task);
  }
  return groups;
};

const giving = (tasks: ReadonlyArray<Task>, totals: Totals): ReadonlyArray<Step> => {
  const steps: Array<Step> = [];
  for (const [guest, group] of byGuest(tasks, "shrink")) {
    steps.push(request("shrink", group, totals), ...vcpus(guest, group, false));
    steps.push(...totals.limit(guest, group));
  }
  for (const [guest, group] of byGuest(tasks, "lower")) {
    steps.push(request("resize", group, totals), ...totals.limit(guest, group));
  }
  return steps;
};

const moving = (
  ground: Ground,
  { task, from, to, last }: TaskHop,
  totals: Totals,
): ReadonlyArray<Step> => {
  const { guest, vnode, kind } = task;
  const { domain } = guest;
  const arrives = kind === "rehome" && last;
  const bytes = arrives ? Math.max(vnode.actualBytes, vnode.targetBytes) : vnode.actualBytes;
  const move: Step = {
    _tag: "move",
    domain,
    vnode: vnode.id,
    bytes: vnode.actualBytes,
    pnode: { from, to },
  };
  return [
    reserve(guest, to, bytes, totals),
    move,
    ...(arrives ? [...pins(ground, task), request("rehome", [task], totals)] : []),
    reserve(guest, to, 0, totals),
  ];
};

const taking = (
  ground: Ground,
  tasks: ReadonlyArray<Task>,
  kind: "expand" | "raise",
  totals: Totals,
): ReadonlyArray<Step> => {
  const steps: Array<Step> = [];
  for (const [guest, group] of byGuest(tasks, kind)) {
    const needs = new Map<PnodeId, number>();
    for (const { vnode, pnode, targetBytes } of group) {
      const bytes = Math.max(0, targetBytes - vnode.actualBytes);
      needs.set(pnode, (needs.get(pnode) ?? 0) + bytes);
    }
    for (const [pnode, bytes] of needs) steps.push(reserve(guest, pnode, bytes, totals));
    steps.push(...totals.limit(guest, group));
    if (kind === "expand") {
      steps.push(...group.flatMap((task) => pins(ground, task)), ...vcpus(guest, group, true));
    }
    steps.push(request(kind === "expand" ? "expand" : "resize", group, totals));
    for (const pnode of needs.keys()) steps.push(reserve(guest, pnode, 0, totals));
  }
  return steps;
};

export const emit = (ground: Ground, { tasks, hops }: Arrangement): ReadonlyArray<Step> => {
  const totals = new Totals();
  return [
    ...giving(tasks, totals),
    ...hops.flatMap((hop) => moving(ground, hop, totals)),
    ...taking(ground, tasks, "raise", totals),
    ...taking(ground, tasks, "expand", totals),
  ];
};
