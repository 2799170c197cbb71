/**
 * What an embedded host is made of, and one made of this machine's CPUs.
 *
 * @since 0.1.0
 */
import {
  DomainId,
  Guest,
  Host,
  PcpuId,
  PnodeId,
  type Vcpu,
  VcpuId,
  type Vnode,
  VnodeId,
} from "@virtflex/topo-model";
import { Schema } from "effect";

/**
 * A host and the guests that it starts with. A pnode's `freeBytes` is what it
 * has before the guests are built, each vnode with its `actualBytes` on its pnode.
 *
 * @since 0.1.0
 */
export const EmbeddedConfig = Schema.Struct({
  host: Host,
  guests: Schema.Array(Guest),
  /** Whether the hypervisor can move a running guest's memory; yes if absent. */
  canMoveVnode: Schema.optionalKey(Schema.Boolean),
});
export type EmbeddedConfig = typeof EmbeddedConfig.Type;

const gib = 1024 ** 3;

/** Round trips between sockets cost about twice a local access. */
const slit = (nodes: number): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from({ length: nodes }, (_, from) =>
    Array.from({ length: nodes }, (_, to) => (from === to ? 10 : 20)),
  );

/**
 * A host whose pcpus, and one guest `laptop` (domain 1) whose vCPUs, are the
 * given CPUs of this machine, in up to four nodes of 1 GiB each: what a thread of
 * the guest does, a thread of this machine does. Every vCPU is online and every
 * vnode at its capacity. vCPU and pcpu ids are the CPUs' own.
 *
 * `cpus` are the ids of the CPUs to use, at least one.
 *
 * @since 0.1.0
 */
export const laptopConfig = (cpus: ReadonlyArray<number>): EmbeddedConfig => {
  const count = Math.min(4, cpus.length);
  const groups = Array.from({ length: count }, (_, node) =>
    cpus.slice(
      Math.floor((node * cpus.length) / count),
      Math.floor(((node + 1) * cpus.length) / count),
    ),
  );
  const distances = slit(count);
  const vnodes = groups.map((group, node): Vnode => ({
    id: VnodeId.make(node),
    pnode: PnodeId.make(node),
    vcpus: group.map((cpu) => VcpuId.make(cpu)),
    capacityBytes: gib,
    targetBytes: gib,
    actualBytes: gib,
    desired: "online",
  }));
  const vcpus = groups.flatMap((group) =>
    group.map((cpu): Vcpu => ({
      id: VcpuId.make(cpu),
      online: true,
      affinity: group.map((each) => PcpuId.make(each)),
    })),
  );
  return {
    host: {
      pnodes: groups.map((group, node) => ({
        id: PnodeId.make(node),
        pcpus: group.map((cpu) => PcpuId.make(cpu)),
        memoryBytes: 2 * gib,
        freeBytes: 2 * gib,
      })),
      distances,
    },
    guests: [
      {
        domain: DomainId.make(1),
        name: "laptop",
        vnodes,
        vcpus,
        distances,
        limitBytes: count * gib,
      },
    ],
  };
};
