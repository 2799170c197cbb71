/**
 * What makes a topology one that can exist. The schemas hold the shape of each
 * value; here are the rules between values. Every breach is named by its field and rule.
 *
 * @since 0.1.0
 */
import { Result, Schema } from "effect";
import type { Guest } from "./Guest.ts";
import type { Distances, Host } from "./Host.ts";
import { maxCpus, maxNodes } from "./NumaKeys.ts";
import { homeVnode, type Topology } from "./Topology.ts";

/** Stable names of the rules. @since 0.1.0 */
export const TopologyRule = Schema.Literals([
  "NOT_JSON",
  "SCHEMA",
  "NO_PNODE",
  "DUPLICATE_PNODE",
  "DUPLICATE_PCPU",
  "DISTANCE_SHAPE",
  "DISTANCE_DIAGONAL",
  "DISTANCE_RANGE",
  "FREE_ABOVE_MEMORY",
  "RESIDENT_ABOVE_MEMORY",
  "DUPLICATE_DOMAIN",
  "DUPLICATE_VNODE",
  "VNODE_RANGE",
  "UNKNOWN_PNODE",
  "TARGET_ABOVE_CAPACITY",
  "ACTUAL_ABOVE_CAPACITY",
  "DUPLICATE_VCPU",
  "VCPU_RANGE",
  "UNKNOWN_VCPU",
  "NO_AFFINITY",
  "UNKNOWN_PCPU",
  "NO_HOME_VNODE",
  "HOME_VNODE_OFFLINE",
]);
export type TopologyRule = typeof TopologyRule.Type;

/** One breach of a rule. @since 0.1.0 */
export const TopologyProblem = Schema.Struct({
  /** Where, such as `host.distances[1][2]`. */
  field: Schema.String,
  code: TopologyRule,
  /** What the rule asks for and what was found, in words. */
  detail: Schema.String,
});
export type TopologyProblem = typeof TopologyProblem.Type;

/** A topology that can't exist, with every breach. @since 0.1.0 */
export class InvalidTopology extends Schema.TaggedError<InvalidTopology>()("InvalidTopology", {
  problems: Schema.NonEmptyArray(TopologyProblem),
}) {
  /** The rule broken first: a stable code for machines. */
  get code(): TopologyRule {
    return this.problems[0].code;
  }
  override get message(): string {
    return this.problems.map(({ field, detail }) => `${field}: ${detail}`).join("\n");
  }
}

type Report = (field: string, code: TopologyRule, detail: string) => void;

const checkDistances = (distances: Distances, nodes: number, field: string, report: Report) => {
  if (distances.length !== nodes) {
    report(field, "DISTANCE_SHAPE", `${distances.length} rows where there are ${nodes} nodes`);
  }
  for (const [from, row] of distances.entries()) {
    if (row.length !== nodes) {
      const found = `${row.length} entries where there are ${nodes} nodes`;
      report(`${field}[${from}]`, "DISTANCE_SHAPE", found);
    }
    for (let to = 0; to < row.length; to++) {
      const distance = row[to] ?? 0;
      if (from === to ? distance === 10 : distance > 10 && distance <= 255) continue;
      const at = `${field}[${from}][${to}]`;
      if (from === to) {
        report(at, "DISTANCE_DIAGONAL", `${distance}, and a node is at 10 from itself`);
      } else {
        report(at, "DISTANCE_RANGE", `${distance}, and another node is at 11 to 255`);
      }
    }
  }
};

const checkHost = (host: Host, report: Report) => {
  if (host.pnodes.length === 0) report("host.pnodes", "NO_PNODE", "a host has at least one pnode");
  const pnodes = new Set<number>();
  const owners = new Map<number, number>();
  for (const [i, pnode] of host.pnodes.entries()) {
    const field = `host.pnodes[${i}]`;
    if (pnodes.has(pnode.id)) {
      report(`${field}.id`, "DUPLICATE_PNODE", `pnode ${pnode.id} is listed twice`);
    }
    pnodes.add(pnode.id);
    for (const [j, pcpu] of pnode.pcpus.entries()) {
      const owner = owners.get(pcpu);
      if (owner !== undefined) {
        const both = `pcpu ${pcpu} is in pnode ${owner} already`;
        report(`${field}.pcpus[${j}]`, "DUPLICATE_PCPU", both);
      }
      owners.set(pcpu, pnode.id);
    }
    if (pnode.freeBytes > pnode.memoryBytes) {
      const detail = `${pnode.freeBytes} bytes free of ${pnode.memoryBytes}`;
      report(`${field}.freeBytes`, "FREE_ABOVE_MEMORY", detail);
    }
  }
  checkDistances(host.distances, host.pnodes.length, "host.distances", report);
  // A table, for affinities are most of what there is to check: 1 where the host has the pcpu.
  const pcpus = new Uint8Array(Math.max(0, ...owners.keys()) + 1);
  for (const pcpu of owners.keys()) pcpus[pcpu] = 1;
  return { pnodes, pcpus };
};

type HostIds = ReturnType<typeof checkHost>;

const checkVcpus = (guest: Guest, field: string, { pcpus }: HostIds, report: Report) => {
  const vcpus = new Set<number>();
  for (const [i, vcpu] of guest.vcpus.entries()) {
    const at = () => `${field}.vcpus[${i}]`;
    if (vcpus.has(vcpu.id))
      report(`${at()}.id`, "DUPLICATE_VCPU", `vcpu ${vcpu.id} is listed twice`);
    vcpus.add(vcpu.id);
    if (vcpu.id >= maxCpus) {
      report(`${at()}.id`, "VCPU_RANGE", `vcpu ${vcpu.id}, and ids are below ${maxCpus}`);
    }
    if (vcpu.affinity.length === 0) {
      report(`${at()}.affinity`, "NO_AFFINITY", `vcpu ${vcpu.id} may run on no pcpu`);
    }
    for (let j = 0; j < vcpu.affinity.length; j++) {
      const pcpu = vcpu.affinity[j];
      if (pcpu === undefined || pcpus[pcpu] === 1) continue;
      report(`${at()}.affinity[${j}]`, "UNKNOWN_PCPU", `the host has no pcpu ${pcpu}`);
    }
  }
  return vcpus;
};

const checkGuest = (guest: Guest, field: string, ids: HostIds, report: Report) => {
  const known = checkVcpus(guest, field, ids, report);
  const vnodes = new Set<number>();
  const owners = new Map<number, number>();
  for (const [i, vnode] of guest.vnodes.entries()) {
    const at = () => `${field}.vnodes[${i}]`;
    const { id, pnode, capacityBytes, targetBytes, actualBytes } = vnode;
    if (vnodes.has(id)) report(`${at()}.id`, "DUPLICATE_VNODE", `vnode ${id} is listed twice`);
    vnodes.add(id);
    if (id >= maxNodes) {
      report(`${at()}.id`, "VNODE_RANGE", `vnode ${id}, and ids are below ${maxNodes}`);
    }
    if (!ids.pnodes.has(pnode)) {
      report(`${at()}.pnode`, "UNKNOWN_PNODE", `the host has no pnode ${pnode}`);
    }
    if (targetBytes > capacityBytes) {
      const detail = `${targetBytes} bytes, above the capacity of ${capacityBytes}`;
      report(`${at()}.targetBytes`, "TARGET_ABOVE_CAPACITY", detail);
    }
    if (actualBytes > capacityBytes) {
      const detail = `${actualBytes} bytes, above the capacity of ${capacityBytes}`;
      report(`${at()}.actualBytes`, "ACTUAL_ABOVE_CAPACITY", detail);
    }
    for (const [j, vcpu] of vnode.vcpus.entries()) {
      const owner = owners.get(vcpu);
      if (owner !== undefined) {
        const both = `vcpu ${vcpu} is in vnode ${owner} already`;
        report(`${at()}.vcpus[${j}]`, "DUPLICATE_VCPU", both);
      }
      owners.set(vcpu, id);
      if (!known.has(vcpu)) {
        report(`${at()}.vcpus[${j}]`, "UNKNOWN_VCPU", `the guest has no vcpu ${vcpu}`);
      }
    }
  }
  checkDistances(guest.distances, guest.vnodes.length, `${field}.distances`, report);
  if (guest.vnodes.length === 0) return;
  const home = homeVnode(guest);
  if (home === undefined) {
    report(`${field}.vnodes`, "NO_HOME_VNODE", "no vnode has vcpu 0");
  } else if (home.desired === "offline") {
    const at = `${field}.vnodes[${guest.vnodes.indexOf(home)}].desired`;
    report(at, "HOME_VNODE_OFFLINE", `vnode ${home.id} has vcpu 0 and can't be offline`);
  }
};

const checkResidents = ({ host, guests }: Topology, report: Report) => {
  const resident = new Map<number, number>();
  for (const guest of guests) {
    for (const { pnode, actualBytes } of guest.vnodes) {
      resident.set(pnode, (resident.get(pnode) ?? 0) + actualBytes);
    }
  }
  for (const [i, { id, memoryBytes }] of host.pnodes.entries()) {
    const bytes = resident.get(id) ?? 0;
    if (bytes > memoryBytes) {
      const detail = `guests hold ${bytes} bytes on pnode ${id}, which has ${memoryBytes}`;
      report(`host.pnodes[${i}].memoryBytes`, "RESIDENT_ABOVE_MEMORY", detail);
    }
  }
};

/** Every breach of a rule, in the order of the fields; none for a sound topology. @since 0.1.0 */
export const problemsOf = (topology: Topology): ReadonlyArray<TopologyProblem> => {
  const problems: Array<TopologyProblem> = [];
  const report: Report = (field, code, detail) => problems.push({ field, code, detail });
  const ids = checkHost(topology.host, report);
  const domains = new Set<number>();
  for (const [i, guest] of topology.guests.entries()) {
    const field = `guests[${i}]`;
    if (domains.has(guest.domain)) {
      report(`${field}.domain`, "DUPLICATE_DOMAIN", `domain ${guest.domain} is listed twice`);
    }
    domains.add(guest.domain);
    checkGuest(guest, field, ids, report);
  }
  checkResidents(topology, report);
  return problems;
};

const unless = (topology: Topology, problems: ReadonlyArray<TopologyProblem>) => {
  const [first, ...others] = problems;
  return first === undefined
    ? Result.succeed(topology)
    : Result.fail(new InvalidTopology({ problems: [first, ...others] }));
};

/** The topology itself, or what is wrong with it. @since 0.1.0 */
export const validate = (topology: Topology): Result.Result<Topology, InvalidTopology> =>
  unless(topology, problemsOf(topology));

/**
 * As `validate`, but for what guests say that they hold, which may be anything: one that claims more than there is must not keep the others from a
 * change. What is free is the hypervisor's word. @since 0.1.0
 */
export const validateSurveyed = (topology: Topology): Result.Result<Topology, InvalidTopology> =>
  unless(
    topology,
    problemsOf(topology).filter(({ code }) => code !== "RESIDENT_ABOVE_MEMORY"),
  );
