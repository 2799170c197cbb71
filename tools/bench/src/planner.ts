/**
 * CPU time to plan one change, and one change to every guest, over hosts of 4 to 64 pnodes
 * and 1 to 1,000 guests. The baseline is a structured clone of the same input,
 * which is linear in it: a ratio that stays is a planner that is linear too.
 */
import { Effect } from "effect";
import {
  DomainId,
  GiB,
  type Guest,
  lowTargetBytes,
  PcpuId,
  plan,
  PnodeId,
  type Topology,
  type TopologyChange,
  VcpuId,
  VnodeId,
} from "@virtflex/topo-model";
import { type Figure, report } from "./Report.ts";

const pcpusPerNode = 16;
const vnodesPerGuest = 4;
const vcpusPerVnode = 4;

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
const distances = (nodes: number) =>
  range(0, nodes).map((from) => range(0, nodes).map((to) => (from === to ? 10 : 20)));
const pcpusOf = (pnode: number) =>
  range(pnode * pcpusPerNode, pcpusPerNode).map((id) => PcpuId.make(id));

/** Its last vnode is offline; its vnodes are on neighbouring pnodes. */
const guestOf = (index: number, pnodes: number): Guest => {
  const vnodes = range(0, vnodesPerGuest).map((k) => ({
    id: VnodeId.make(k),
    pnode: PnodeId.make((index + k) % pnodes),
    vcpus: range(k * vcpusPerVnode, vcpusPerVnode).map((id) => VcpuId.make(id)),
    capacityBytes: 1 * GiB,
    targetBytes: 1 * GiB,
    actualBytes: 1 * GiB,
    desired: k < vnodesPerGuest - 1 ? ("online" as const) : ("offline" as const),
  }));
  const full: Guest = {
    domain: DomainId.make(index + 1),
    name: `guest${index}`,
    vnodes,
    vcpus: vnodes.flatMap(({ vcpus, pnode, desired }) =>
      vcpus.map((id) => ({ id, online: desired === "online", affinity: pcpusOf(pnode) })),
    ),
    distances: distances(vnodesPerGuest),
    limitBytes: vnodesPerGuest * GiB,
  };
  return {
    ...full,
    vnodes: vnodes.map((vnode) => {
      const bytes = vnode.desired === "online" ? vnode.capacityBytes : lowTargetBytes(full, vnode);
      return { ...vnode, targetBytes: bytes, actualBytes: bytes };
    }),
  };
};

const topologyOf = (pnodes: number, guests: number): Topology => {
  const freeBytes = guests * GiB;
  const memoryBytes = freeBytes + guests * vnodesPerGuest * GiB;
  return {
    host: {
      pnodes: range(0, pnodes).map((id) => ({
        id: PnodeId.make(id),
        pcpus: pcpusOf(id),
        memoryBytes,
        freeBytes,
      })),
      distances: distances(pnodes),
    },
    guests: range(0, guests).map((index) => guestOf(index, pnodes)),
  };
};

const expand = ({ domain }: Guest): TopologyChange => ({
  _tag: "expand",
  domain,
  vnodes: [VnodeId.make(vnodesPerGuest - 1)],
});

const samples = 15;
const sampleMs = 10;

/**
 * Median milliseconds of CPU that a call takes: planning waits for nothing, and CPU time
 * is the same however busy the machine is.
 */
const median = (call: () => unknown): number => {
  const cpuMs = (calls: number): number => {
    const start = process.cpuUsage();
    for (let i = 0; i < calls; i++) call();
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  };
  let calls = 1;
  while (cpuMs(calls) < sampleMs) calls *= 2;
  const times = range(0, samples).map(() => cpuMs(calls) / calls);
  times.sort((a, b) => a - b);
  return times[samples >> 1] ?? 0;
};

const figures = (pnodes: number, guests: number): ReadonlyArray<Figure> => {
  const topology = topologyOf(pnodes, guests);
  const every = topology.guests.map(expand);
  const timed = (changes: ReadonlyArray<TopologyChange>) => {
    const call = () => plan(topology.host, topology.guests, changes);
    const outcome = call();
    if (outcome._tag === "Failure") throw outcome.failure;
    return median(call);
  };
  const baseline = { name: "structuredClone", value: median(() => structuredClone(topology)) };
  const name = `${pnodes} pnodes × ${guests} guests`;
  const largest = pnodes === 64 && guests === 1000;
  const figure = (what: string, value: number) => ({
    name: `${name}, ${what}`,
    value,
    unit: "ms",
    baseline,
  });
  return [
    { ...figure("one change", timed(every.slice(-1))), ...(largest ? { aim: "below 10 ms" } : {}) },
    figure("a change to each", timed(every)),
  ];
};

const rows = [4, 16, 64].flatMap((pnodes) =>
  [1, 10, 100, 1000].flatMap((guests) => figures(pnodes, guests)),
);

await Effect.runPromise(report("Planner", rows));
