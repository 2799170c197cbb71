/** Machines by shape, for tests. */
import type { Guest, Host, Vcpu, Vnode } from "../../src/index.ts";
import { DomainId, GiB, PcpuId, PnodeId, VcpuId, VnodeId } from "../../src/index.ts";

export const range = (from: number, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, i) => from + i);

export const pnode = (id: number): PnodeId => PnodeId.make(id);
export const vnode = (id: number): VnodeId => VnodeId.make(id);
export const domain = (id: number): DomainId => DomainId.make(id);

/** 10 on the diagonal, `far` elsewhere. */
export const flat = (nodes: number, far = 20): ReadonlyArray<ReadonlyArray<number>> =>
  range(0, nodes).map((from) => range(0, nodes).map((to) => (from === to ? 10 : far)));

/** pnode k has `pcpus` pcpus, from k × pcpus on. */
export const host = (
  pnodes: number,
  pcpus: number,
  free: ReadonlyArray<number>,
  memoryBytes = 32 * GiB,
): Host => ({
  pnodes: range(0, pnodes).map((id) => ({
    id: pnode(id),
    pcpus: range(id * pcpus, pcpus).map((pcpu) => PcpuId.make(pcpu)),
    memoryBytes,
    freeBytes: free[id] ?? 0,
  })),
  distances: flat(pnodes),
});

export interface VnodeShape {
  readonly pnode: number;
  readonly capacityBytes: number;
  readonly actualBytes?: number;
  readonly online?: boolean;
}

/** A guest with one vCPU a vnode (vCPU k in vnode k), each pinned to its pnode. */
export const guest = (id: number, on: Host, shapes: ReadonlyArray<VnodeShape>): Guest => {
  const vnodes = shapes.map((shape, k): Vnode => {
    const actualBytes = shape.actualBytes ?? shape.capacityBytes;
    return {
      id: vnode(k),
      pnode: pnode(shape.pnode),
      vcpus: [VcpuId.make(k)],
      capacityBytes: shape.capacityBytes,
      targetBytes: actualBytes,
      actualBytes,
      desired: (shape.online ?? true) ? "online" : "offline",
    };
  });
  const vcpus = vnodes.map((each, k): Vcpu => ({
    id: VcpuId.make(k),
    online: each.desired === "online",
    affinity: on.pnodes.find((node) => node.id === each.pnode)?.pcpus ?? [],
  }));
  const limitBytes = vnodes.reduce((sum, each) => sum + each.targetBytes, 0);
  return {
    domain: domain(id),
    name: `guest${id}`,
    vnodes,
    vcpus,
    distances: flat(vnodes.length),
    limitBytes,
    targetBytes: limitBytes,
  };
};
