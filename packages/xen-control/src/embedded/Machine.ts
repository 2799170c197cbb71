/**
 * The machine under the embedded layer: pnodes, their memory, who holds and who
 * reserved it, domains and their vCPUs, and the xenstore. Synchronous, as
 * `Tree.ts` is, and for the same reason. One instance is one host.
 */
import {
  type DomainId,
  type Guest,
  type Host,
  NumaKeys,
  type PcpuId,
  type PnodeId,
  type VcpuId,
  type VnodeId,
} from "@virtflex/topo-model";
import { Result } from "effect";
import {
  type DomainInfo,
  HypervisorError,
  type HypervisorReason,
  type Moved,
} from "../Hypervisor.ts";
import type { EmbeddedConfig } from "./EmbeddedConfig.ts";
import type { Ballooned } from "./EmbeddedGuest.ts";
import { Store } from "./Store.ts";
import { writeTree } from "./DomainTree.ts";

type Answer<A> = Result.Result<A, HypervisorError>;

const refuse = (
  reason: HypervisorReason,
  operation: string,
  detail: string,
): Result.Result<never, HypervisorError> =>
  Result.fail(new HypervisorError({ reason, operation, detail }));

/** Extents of a guest's balloon: order 9 and order 0 pages. */
export const superpageBytes = 2 * 1024 ** 2;
export const pageBytes = 4096;

interface PnodeState {
  readonly id: PnodeId;
  readonly pcpus: ReadonlyArray<PcpuId>;
  readonly memoryBytes: number;
  /** Held by no domain. */
  unheldBytes: number;
}

interface VnodeState {
  readonly id: VnodeId;
  readonly capacityBytes: number;
  readonly vcpus: ReadonlyArray<VcpuId>;
  pnode: PnodeId;
  heldBytes: number;
}

interface VcpuState {
  readonly id: VcpuId;
  online: boolean;
  affinity: ReadonlyArray<PcpuId>;
}

interface DomainState {
  readonly id: DomainId;
  readonly name: string;
  readonly vnodes: ReadonlyArray<VnodeState>;
  readonly vcpus: ReadonlyArray<VcpuState>;
  readonly distances: ReadonlyArray<ReadonlyArray<number>>;
  limitBytes: number;
  readonly reserved: Map<PnodeId, number>;
  paused: boolean;
  /** The fault: bytes that the guest may still balloon before it pauses. */
  pausesAfterBytes: number | undefined;
}

const sum = (values: Iterable<number>): number => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};

const heldBy = (domain: DomainState): number =>
  sum(domain.vnodes.map(({ heldBytes }) => heldBytes));

const extents = (bytes: number): Ballooned => {
  const whole = Math.floor(bytes / pageBytes) * pageBytes;
  const superpages = Math.floor(whole / superpageBytes);
  return {
    bytes: whole,
    superpages,
    smallPages: (whole - superpages * superpageBytes) / pageBytes,
  };
};

export class Machine {
  readonly store: Store;
  readonly #pnodes: Map<PnodeId, PnodeState>;
  readonly #distances: ReadonlyArray<ReadonlyArray<number>>;
  readonly #domains = new Map<DomainId, DomainState>();
  readonly #canMoveVnode: boolean;
  /** Told when a domain is paused or unpaused. */
  readonly onPause = new Set<(domain: DomainId) => void>();

  constructor({ host, canMoveVnode }: EmbeddedConfig) {
    this.#pnodes = new Map(
      host.pnodes.map(({ freeBytes, ...pnode }) => [
        pnode.id,
        { ...pnode, unheldBytes: freeBytes },
      ]),
    );
    this.#distances = host.distances;
    this.#canMoveVnode = canMoveVnode ?? true;
    this.store = new Store((path) => {
      const ids = /^\/local\/domain\/(\d+)\/cpu\/(\d+)\/availability$/.exec(path);
      if (ids !== null) this.#followAvailability(Number(ids[1]), Number(ids[2]));
    });
    const dom0 = this.store.connect(0);
    dom0.write("/local/domain/0/name", "Domain-0");
    dom0.write("/local/domain/0/domid", "0");
    this.store.disconnect(dom0);
  }

  get host(): Host {
    return {
      pnodes: [...this.#pnodes.values()].map(({ id, pcpus, memoryBytes, unheldBytes }) => ({
        id,
        pcpus,
        memoryBytes,
        freeBytes: unheldBytes - this.#reservedOn(id),
      })),
      distances: this.#distances,
    };
  }

  get domains(): ReadonlyArray<DomainInfo> {
    return [...this.#domains.values()].map((domain) => this.#describe(domain));
  }

  domain(id: DomainId): Answer<DomainInfo> {
    return Result.map(this.#find("domain", id), (domain) => this.#describe(domain));
  }

  has(id: DomainId): boolean {
    return this.#domains.has(id);
  }

  create(guest: Guest): Answer<void> {
    const operation = `create ${guest.name}`;
    if (this.#domains.has(guest.domain) || guest.domain === 0) {
      return refuse("Busy", operation, `domain ${guest.domain} exists`);
    }
    const needed = new Map<PnodeId, number>();
    for (const { id, pnode, actualBytes, capacityBytes } of guest.vnodes) {
      if (!this.#pnodes.has(pnode)) {
        return refuse("NoSuchNode", operation, `vnode ${id} wants pnode ${pnode}`);
      }
      if (actualBytes > capacityBytes) {
        return refuse("Refused", operation, `vnode ${id} has more memory than its capacity`);
      }
      needed.set(pnode, (needed.get(pnode) ?? 0) + actualBytes);
    }
    const held = sum(guest.vnodes.map(({ actualBytes }) => actualBytes));
    if (held > guest.limitBytes) {
      return refuse("Refused", operation, `${held} bytes exceed its limit of ${guest.limitBytes}`);
    }
    for (const [pnode, bytes] of needed) {
      const free = this.#freeFor(undefined, pnode);
      if (bytes > free) {
        const detail = `pnode ${pnode} has ${free} bytes free, ${bytes} are needed`;
        return refuse("NoMemory", operation, detail);
      }
    }
    for (const [pnode, bytes] of needed) this.#take(pnode, bytes);
    this.#domains.set(guest.domain, {
      id: guest.domain,
      name: guest.name,
      vnodes: guest.vnodes.map(({ id, pnode, capacityBytes, vcpus, actualBytes }) => ({
        id,
        pnode,
        capacityBytes,
        vcpus,
        heldBytes: actualBytes,
      })),
      vcpus: guest.vcpus.map((vcpu) => ({ ...vcpu })),
      distances: guest.distances,
      limitBytes: guest.limitBytes,
      reserved: new Map(),
      paused: false,
      pausesAfterBytes: undefined,
    });
    writeTree(this.store, guest);
    this.store.announce("@introduceDomain");
    return Result.void;
  }

  destroy(id: DomainId): Answer<void> {
    return Result.map(this.#find("destroy", id), (domain) => {
      for (const { pnode, heldBytes } of domain.vnodes) this.#take(pnode, -heldBytes);
      this.#domains.delete(id);
      this.store.disconnectDomain(id);
      const dom0 = this.store.connect(0);
      dom0.remove(NumaKeys.domainPath(id));
      this.store.disconnect(dom0);
      this.store.announce("@releaseDomain");
      this.#tell(id);
    });
  }

  // --- what the toolstack does -----------------------------------------------

  setVcpusOnline(id: DomainId, vcpus: ReadonlyArray<VcpuId>, online: boolean): Answer<void> {
    return Result.map(this.#findVcpus("setVcpusOnline", id, vcpus), (states) => {
      const dom0 = this.store.connect(0);
      for (const vcpu of states) {
        const key = NumaKeys.at(id, NumaKeys.path.availability(vcpu.id));
        dom0.write(key, NumaKeys.printAvailability(online));
      }
      this.store.disconnect(dom0);
    });
  }

  pinVcpus(id: DomainId, vcpus: ReadonlyArray<VcpuId>, pcpus: ReadonlyArray<PcpuId>): Answer<void> {
    return Result.flatMap(this.#findVcpus("pinVcpus", id, vcpus), (states) => {
      const known = new Set([...this.#pnodes.values()].flatMap((pnode) => pnode.pcpus));
      const unknown = pcpus.find((pcpu) => !known.has(pcpu));
      if (unknown !== undefined) return refuse("Refused", "pinVcpus", `no pcpu ${unknown}`);
      if (pcpus.length === 0) return refuse("Refused", "pinVcpus", "an empty affinity");
      for (const vcpu of states) vcpu.affinity = [...pcpus];
      return Result.void;
    });
  }

  /** As Xen does it, the limit may be below what the domain holds: then it can only give. */
  setLimit(id: DomainId, bytes: number): Answer<void> {
    return Result.map(this.#find("setLimit", id), (domain) => {
      domain.limitBytes = bytes;
    });
  }

  reserve(id: DomainId, pnode: PnodeId, bytes: number): Answer<void> {
    return Result.flatMap(this.#find("reserve", id), (domain) => {
      if (!this.#pnodes.has(pnode)) return refuse("NoSuchNode", "reserve", `no pnode ${pnode}`);
      const free = this.#freeFor(domain, pnode);
      if (bytes > free) {
        const detail = `pnode ${pnode} has ${free} bytes for domain ${id}, ${bytes} are asked for`;
        return refuse("NoMemory", "reserve", detail);
      }
      if (bytes === 0) domain.reserved.delete(pnode);
      else domain.reserved.set(pnode, bytes);
      return Result.void;
    });
  }

  moveVnode(id: DomainId, vnode: VnodeId, pnode: PnodeId): Answer<Moved> {
    const operation = "moveVnode";
    return Result.flatMap(this.#find(operation, id), (domain) =>
      Result.flatMap(findVnode(operation, domain, vnode), (state) => {
        if (!this.#pnodes.has(pnode)) return refuse("NoSuchNode", operation, `no pnode ${pnode}`);
        if (!this.#canMoveVnode) {
          const detail = "this hypervisor cannot move the memory of a running guest";
          return refuse("Unsupported", operation, detail);
        }
        if (state.pnode === pnode) return Result.succeed({ movedBytes: 0, skippedPages: 0 });
        const { heldBytes } = state;
        const free = this.#freeFor(domain, pnode);
        if (heldBytes > free) {
          const detail = `pnode ${pnode} has ${free} bytes for domain ${id}, ${heldBytes} are needed`;
          return refuse("NoMemory", operation, detail);
        }
        this.#take(state.pnode, -heldBytes);
        this.#takeReserved(domain, pnode, heldBytes);
        state.pnode = pnode;
        return Result.succeed({ movedBytes: heldBytes, skippedPages: 0 });
      }),
    );
  }

  // --- what a guest's kernel does --------------------------------------------

  /** Bytes that the vnode holds. */
  held(id: DomainId, vnode: VnodeId): Answer<number> {
    return Result.flatMap(this.#find("held", id), (domain) =>
      Result.map(findVnode("held", domain, vnode), ({ heldBytes }) => heldBytes),
    );
  }

  onlineVcpus(id: DomainId): Answer<ReadonlyArray<VcpuId>> {
    return Result.map(this.#find("onlineVcpus", id), ({ vcpus }) =>
      vcpus.filter(({ online }) => online).map((vcpu) => vcpu.id),
    );
  }

  /**
   * Gives the vnode up to `bytes` from its own pnode and from no other, as
   * XENMEM_populate_physmap with XENMEMF_exact_node does; less when the node, the
   * domain's limit or the vnode's capacity has no more. Whole pages only.
   */
  populate(id: DomainId, vnode: VnodeId, bytes: number): Answer<Ballooned> {
    return Result.flatMap(this.#find("populate", id), (domain) =>
      Result.map(findVnode("populate", domain, vnode), (state) => {
        const room = Math.min(
          this.#freeFor(domain, state.pnode),
          domain.limitBytes - heldBy(domain),
          state.capacityBytes - state.heldBytes,
        );
        const done = extents(this.#bounded(domain, Math.max(0, Math.min(bytes, room))));
        this.#takeReserved(domain, state.pnode, done.bytes);
        state.heldBytes += done.bytes;
        return done;
      }),
    );
  }

  /** Takes up to `bytes` from the vnode; less when it holds less. Whole pages only. */
  decrease(id: DomainId, vnode: VnodeId, bytes: number): Answer<Ballooned> {
    return Result.flatMap(this.#find("decrease", id), (domain) =>
      Result.map(findVnode("decrease", domain, vnode), (state) => {
        const done = extents(this.#bounded(domain, Math.max(0, Math.min(bytes, state.heldBytes))));
        this.#take(state.pnode, -done.bytes);
        state.heldBytes -= done.bytes;
        return done;
      }),
    );
  }

  isPaused(id: DomainId): boolean {
    return this.#domains.get(id)?.paused ?? false;
  }

  // --- faults ----------------------------------------------------------------

  /** A paused guest runs no instruction: it sees, does and answers nothing. */
  setPaused(id: DomainId, paused: boolean): Answer<void> {
    return Result.map(this.#find(paused ? "pause" : "unpause", id), (domain) => {
      domain.paused = paused;
      this.#followAvailability(id);
      this.#tell(id);
    });
  }

  pauseAfter(id: DomainId, bytes: number): Answer<void> {
    return Result.map(this.#find("pauseAfter", id), (domain) => {
      domain.pausesAfterBytes = bytes;
    });
  }

  /** Somebody else takes all of the pnode that is free but `bytes`. */
  leaveFree(pnode: PnodeId, bytes: number): Answer<void> {
    const state = this.#pnodes.get(pnode);
    if (state === undefined) return refuse("NoSuchNode", "leaveFree", `no pnode ${pnode}`);
    state.unheldBytes = this.#reservedOn(pnode) + Math.min(bytes, this.#freeFor(undefined, pnode));
    return Result.void;
  }

  // ---------------------------------------------------------------------------

  #tell(id: DomainId): void {
    for (const listener of this.onPause) listener(id);
  }

  #find(operation: string, id: DomainId): Answer<DomainState> {
    const domain = this.#domains.get(id);
    return domain === undefined
      ? refuse("NoSuchDomain", operation, `no domain ${id}`)
      : Result.succeed(domain);
  }

  #findVcpus(
    operation: string,
    id: DomainId,
    vcpus: ReadonlyArray<VcpuId>,
  ): Answer<ReadonlyArray<VcpuState>> {
    return Result.flatMap(this.#find(operation, id), (domain) => {
      const states: Array<VcpuState> = [];
      for (const wanted of vcpus) {
        const state = domain.vcpus.find((vcpu) => vcpu.id === wanted);
        if (state === undefined) {
          return refuse("NoSuchVcpu", operation, `domain ${id} has no vCPU ${wanted}`);
        }
        states.push(state);
      }
      return Result.succeed(states);
    });
  }

  #reservedOn(pnode: PnodeId): number {
    return sum([...this.#domains.values()].map(({ reserved }) => reserved.get(pnode) ?? 0));
  }

  /** What the domain can get on the pnode: all but what is held or reserved by others. */
  #freeFor(domain: DomainState | undefined, pnode: PnodeId): number {
    const unheld = this.#pnodes.get(pnode)?.unheldBytes ?? 0;
    return unheld - this.#reservedOn(pnode) + (domain?.reserved.get(pnode) ?? 0);
  }

  #take(pnode: PnodeId, bytes: number): void {
    const state = this.#pnodes.get(pnode);
    if (state !== undefined) state.unheldBytes -= bytes;
  }

  /** Takes memory for a domain, its own reservation first. */
  #takeReserved(domain: DomainState, pnode: PnodeId, bytes: number): void {
    const left = (domain.reserved.get(pnode) ?? 0) - bytes;
    if (left > 0) domain.reserved.set(pnode, left);
    else domain.reserved.delete(pnode);
    this.#take(pnode, bytes);
  }

  /** Applies the fault of a guest that stops half-way. */
  #bounded(domain: DomainState, bytes: number): number {
    if (domain.pausesAfterBytes === undefined) return bytes;
    const allowed = Math.min(bytes, domain.pausesAfterBytes);
    domain.pausesAfterBytes -= allowed;
    if (allowed < bytes) {
      domain.pausesAfterBytes = undefined;
      domain.paused = true;
      this.#tell(domain.id);
    }
    return allowed;
  }

  /** The guest's kernel brings vCPUs up and down as it is told; never vCPU 0 down. */
  #followAvailability(id: number, only?: number): void {
    const domain = this.#domains.get(id as DomainId);
    if (domain === undefined || domain.paused) return;
    const kernel = this.store.connect(id);
    for (const vcpu of domain.vcpus) {
      if (only !== undefined && vcpu.id !== only) continue;
      const told = Result.flatMap(
        kernel.read(NumaKeys.path.availability(vcpu.id)),
        NumaKeys.parseAvailability,
      );
      if (Result.isSuccess(told)) vcpu.online = told.success || vcpu.id === 0;
    }
    this.store.disconnect(kernel);
  }

  #describe(domain: DomainState): DomainInfo {
    const resident = new Map(
      [...this.#pnodes.keys()].map((pnode): [PnodeId, number] => [pnode, 0]),
    );
    for (const { pnode, heldBytes } of domain.vnodes) {
      resident.set(pnode, (resident.get(pnode) ?? 0) + heldBytes);
    }
    const dom0 = this.store.connect(0);
    const wanted = Result.flatMap(
      dom0.read(NumaKeys.at(domain.id, NumaKeys.path.memoryTarget)),
      NumaKeys.parseKib,
    );
    this.store.disconnect(dom0);
    // As Xen has it where nobody says otherwise.
    const all = [...this.#pnodes.values()].flatMap(({ pcpus }) => pcpus);
    return {
      domain: domain.id,
      name: domain.name,
      state: domain.paused ? "paused" : "running",
      memoryBytes: heldBy(domain),
      limitBytes: domain.limitBytes,
      targetBytes: Result.getOrElse(wanted, () => heldBy(domain)),
      vcpus: domain.vcpus.map((vcpu) => ({ ...vcpu })),
      softAffinity: domain.vcpus.map(({ id }) => ({ vcpu: id, pcpus: all })),
      vnuma: domain.vnodes.map(({ id, pnode, capacityBytes, vcpus }) => ({
        id,
        pnode,
        capacityBytes,
        vcpus,
      })),
      distances: domain.distances,
      residentBytes: [...resident].map(([pnode, bytes]) => ({ pnode, bytes })),
    };
  }
}

const findVnode = (operation: string, domain: DomainState, id: VnodeId): Answer<VnodeState> => {
  const vnode = domain.vnodes.find((each) => each.id === id);
  return vnode === undefined
    ? refuse("NoSuchNode", operation, `domain ${domain.id} has no vnode ${id}`)
    : Result.succeed(vnode);
};
