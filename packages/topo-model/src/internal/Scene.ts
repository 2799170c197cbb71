/**
 * What pictures show of a topology, whichever way they are drawn: for each pnode who
 * runs on its CPUs and who holds its memory.
 */
import type { Desired } from "../Guest.ts";
import type { DomainId, PcpuId, PnodeId, VcpuId, VnodeId } from "../Ids.ts";
import type { Topology } from "../Topology.ts";

/** A vnode on the pnode that backs it. */
export interface Tenant {
  /** Position of the guest in the topology: its colour and letter. */
  readonly guest: number;
  readonly domain: DomainId;
  readonly vnode: VnodeId;
  readonly desired: Desired;
  readonly bytes: number;
  readonly vcpus: ReadonlyArray<VcpuId>;
  readonly onlineVcpus: number;
}

export interface NodeScene {
  readonly pnode: PnodeId;
  readonly memoryBytes: number;
  readonly freeBytes: number;
  /** Held by what is not in the picture: the hypervisor, dom0, domains without virtual NUMA. */
  readonly otherBytes: number;
  readonly tenants: ReadonlyArray<Tenant>;
  /** Each pcpu with the guest of a vCPU that runs there, if any. */
  readonly cpus: ReadonlyArray<{ readonly pcpu: PcpuId; readonly guest: number | undefined }>;
}

/** A pinned vCPU takes its pcpu; one that may run on several is shown on the first that is left. */
const seat = ({ host, guests }: Topology): ReadonlyMap<PcpuId, number> => {
  const seats = new Map<PcpuId, number>();
  const vcpus = guests.flatMap((guest, index) => {
    const pnodeOf = new Map(
      guest.vnodes.flatMap(({ pnode, vcpus }) => vcpus.map((id) => [id, pnode] as const)),
    );
    return guest.vcpus
      .filter(({ online }) => online)
      .map(({ id, affinity }) => ({ index, affinity, pnode: pnodeOf.get(id) }));
  });
  const inside = new Map(host.pnodes.map(({ id, pcpus }) => [id, new Set(pcpus)]));
  // The fewest choices first, so that nobody takes the only seat of another.
  for (const { index, affinity, pnode } of vcpus.toSorted(
    (a, b) => a.affinity.length - b.affinity.length,
  )) {
    const own = pnode === undefined ? undefined : inside.get(pnode);
    const isLeft = (pcpu: PcpuId) => !seats.has(pcpu);
    const at = affinity.find((pcpu) => isLeft(pcpu) && own?.has(pcpu)) ?? affinity.find(isLeft);
    if (at !== undefined) seats.set(at, index);
  }
  return seats;
};

export const sceneOf = (topology: Topology): ReadonlyArray<NodeScene> => {
  const seats = seat(topology);
  const tenants = topology.guests.flatMap((guest, index) => {
    const online = new Set(guest.vcpus.filter((vcpu) => vcpu.online).map(({ id }) => id));
    return guest.vnodes.map(({ id, pnode, vcpus, actualBytes, desired }) => ({
      pnode,
      tenant: {
        guest: index,
        domain: guest.domain,
        vnode: id,
        desired,
        bytes: actualBytes,
        vcpus,
        onlineVcpus: vcpus.filter((vcpu) => online.has(vcpu)).length,
      },
    }));
  });
  return topology.host.pnodes.map(({ id, pcpus, memoryBytes, freeBytes }) => {
    const own = tenants.filter(({ pnode }) => pnode === id).map(({ tenant }) => tenant);
    const held = own.reduce((sum, { bytes }) => sum + bytes, 0);
    return {
      pnode: id,
      memoryBytes,
      freeBytes,
      otherBytes: Math.max(0, memoryBytes - freeBytes - held),
      tenants: own,
      cpus: pcpus.map((pcpu) => ({ pcpu, guest: seats.get(pcpu) })),
    };
  });
};

/** Shares out cells of a bar: each part that is not nothing gets at least one where there are enough. */
export const shareOut = (parts: ReadonlyArray<number>, cells: number): ReadonlyArray<number> => {
  const whole = parts.reduce((sum, part) => sum + part, 0);
  if (whole === 0) return parts.map(() => 0);
  const shares = parts.map((part) =>
    part === 0 ? 0 : Math.max(1, Math.round((part / whole) * cells)),
  );
  // What rounding made too many or too few is settled on the largest parts.
  for (;;) {
    const excess = shares.reduce((sum, share) => sum + share, 0) - cells;
    if (excess === 0) return shares;
    const largest = shares.indexOf(Math.max(...shares));
    shares[largest] = (shares[largest] ?? 0) - Math.sign(excess);
  }
};
