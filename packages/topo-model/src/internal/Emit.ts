/**
 * From an arrangement to the steps that carry it out, in an order in which a
 * host always has what the next step needs.
 */
import type { Guest } from "../Guest.ts";
import type { PcpuId, PnodeId, VcpuId } from "../Ids.ts";
import type { RequestOp, Step } from "../Step.ts";
import type { Ground } from "./Ground.ts";
import type { Arrangement, TaskHop } from "./Placement.ts";
import type { Task } from "./Tasks.ts";

const opposite = {
  expand: "shrink",
  shrink: "expand",
  rehome: "rehome",
  resize: "resize",
} as const;

const request = (op: RequestOp, tasks: readonly [Task, ...ReadonlyArray<Task>]): Step => ({
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
});

const reserve = (guest: Guest, pnode: PnodeId, bytes: number): Step => ({
  _tag: "reserve",
  domain: guest.domain,
  pnode,
  reservedBytes: { from: 0, to: bytes },
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
 * The limit moves with the targets, so that what it holds above them (memory of the
 * domain that belongs to no vnode) stays as it was.
 */
class Limits {
  readonly #limits = new Map<Guest, { limit: number; targets: number }>();

  step(guest: Guest, tasks: ReadonlyArray<Task>): ReadonlyArray<Step> {
    const { limit: from, targets } = this.#limits.get(guest) ?? {
      limit: guest.limitBytes,
      targets: guest.vnodes.reduce((sum, { targetBytes }) => sum + targetBytes, 0),
    };
    const growth = tasks.reduce(
      (sum, { vnode, targetBytes }) => sum + targetBytes - vnode.targetBytes,
      0,
    );
    const to = Math.max(from + growth, targets + growth);
    this.#limits.set(guest, { limit: to, targets: targets + growth });
    return from === to ? [] : [{ _tag: "limit", domain: guest.domain, limitBytes: { from, to } }];
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

const giving = (tasks: ReadonlyArray<Task>, limits: Limits): ReadonlyArray<Step> => {
  const steps: Array<Step> = [];
  for (const [guest, group] of byGuest(tasks, "shrink")) {
    steps.push(request("shrink", group), ...vcpus(guest, group, false));
    steps.push(...limits.step(guest, group));
  }
  for (const [guest, group] of byGuest(tasks, "lower")) {
    steps.push(request("resize", group), ...limits.step(guest, group));
  }
  return steps;
};

const moving = (ground: Ground, { task, from, to, last }: TaskHop): ReadonlyArray<Step> => {
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
    reserve(guest, to, bytes),
    move,
    ...(arrives ? [...pins(ground, task), request("rehome", [task])] : []),
    reserve(guest, to, 0),
  ];
};

const taking = (
  ground: Ground,
  tasks: ReadonlyArray<Task>,
  kind: "expand" | "raise",
  limits: Limits,
): ReadonlyArray<Step> => {
  const steps: Array<Step> = [];
  for (const [guest, group] of byGuest(tasks, kind)) {
    const needs = new Map<PnodeId, number>();
    for (const { vnode, pnode, targetBytes } of group) {
      const bytes = Math.max(0, targetBytes - vnode.actualBytes);
      needs.set(pnode, (needs.get(pnode) ?? 0) + bytes);
    }
    for (const [pnode, bytes] of needs) steps.push(reserve(guest, pnode, bytes));
    steps.push(...limits.step(guest, group));
    if (kind === "expand") {
      steps.push(...group.flatMap((task) => pins(ground, task)), ...vcpus(guest, group, true));
    }
    steps.push(request(kind === "expand" ? "expand" : "resize", group));
    for (const pnode of needs.keys()) steps.push(reserve(guest, pnode, 0));
  }
  return steps;
};

export const emit = (ground: Ground, { tasks, hops }: Arrangement): ReadonlyArray<Step> => {
  const limits = new Limits();
  return [
    ...giving(tasks, limits),
    ...hops.flatMap((hop) => moving(ground, hop)),
    ...taking(ground, tasks, "raise", limits),
    ...taking(ground, tasks, "expand", limits),
  ];
};
