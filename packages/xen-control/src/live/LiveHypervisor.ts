/**
 * `Hypervisor` over libxenctrl and, for what the toolstack keeps there, xenstore.
 *
 * What Xen 4.17 cannot do: reserve memory of one node. A reservation is checked
 * against the node and claimed from the host as a whole (XENMEM_claim_pages). Moving a
 * running guest's memory, and telling on which node it is, takes our patches, in Xen and
 * in libxenctrl; without them `moveVnode` is `Unsupported`, and `residentBytes` empty.
 */
import {
  DomainId,
  type Host,
  NumaKeys,
  PcpuId,
  PnodeId,
  VcpuId,
  VnodeId,
} from "@virtflex/topo-model";
import { Effect, Result } from "effect";
import {
  type DomainInfo,
  Hypervisor,
  HypervisorError,
  type HypervisorFailure,
  type HypervisorReason,
} from "../Hypervisor.ts";
import type { XenStore } from "../XenStore.ts";
import { type Native, native, type NativeDomain, type NativeHost, unavailable } from "./native.ts";

const reasons: Readonly<Record<string, HypervisorReason>> = {
  ESRCH: "NoSuchDomain",
  ENOMEM: "NoMemory",
  EOPNOTSUPP: "Unsupported",
  EXDEV: "Unsupported",
  ENOSYS: "Unsupported",
  EBUSY: "Busy",
  EAGAIN: "Busy",
};

const refuse = (reason: HypervisorReason, operation: string, detail: string) =>
  Effect.fail(new HypervisorError({ reason, operation, detail }));

const call = <A>(
  operation: string,
  run: (addon: Native) => Promise<A>,
): Effect.Effect<A, HypervisorFailure> =>
  Effect.flatMap(
    Effect.suspend(() => Effect.fromResult(native((addon) => () => run(addon)))),
    (start) =>
      Effect.tryPromise({
        try: start,
        catch: (cause) => {
          const error = cause as NodeJS.ErrnoException;
          const reason = reasons[error.code ?? ""] ?? "Refused";
          return (
            unavailable(error) ?? new HypervisorError({ reason, operation, detail: error.message })
          );
        },
      }),
  );

/** A matrix from its rows laid end to end. */
const square = (values: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> => {
  const size = Math.sqrt(values.length);
  return Array.from({ length: size }, (_, row) => values.slice(row * size, (row + 1) * size));
};

const hostOf = (
  { nodes, cpus, distances }: NativeHost,
  reservedOn: (pnode: PnodeId) => number,
): Host => ({
  pnodes: nodes.map(({ id, sizeBytes, freeBytes }) => {
    const pnode = PnodeId.make(id);
    return {
      id: pnode,
      pcpus: cpus.filter(({ node }) => node === id).map((cpu) => PcpuId.make(cpu.id)),
      memoryBytes: sizeBytes,
      freeBytes: Math.max(0, freeBytes - reservedOn(pnode)),
    };
  }),
  distances: square(distances),
});

/** How much of a vnode is moved in a call: between two of them it may be interrupted. */
const moveSlicePages = 2048;

const pageBytes = 4096;

/** What a domain has claimed for each pnode, as this process asked for it. */
type Reservations = Map<DomainId, Map<PnodeId, number>>;

const total = (values: Iterable<number>): number =>
  [...values].reduce((sum, each) => sum + each, 0);

export const makeLiveHypervisor = (store: XenStore["Service"]): Hypervisor["Service"] => {
  const reservations: Reservations = new Map();

  /** What is left of a domain's reservations: its balloon-ins consume them, on whichever node. */
  const leftOf = Effect.fnUntraced(function* (id: DomainId) {
    const own = reservations.get(id);
    if (own === undefined) return new Map<PnodeId, number>();
    const [domain] = yield* call("host", (xen) => xen.domain(id));
    const claimed = domain?.claimedBytes ?? 0;
    if (claimed === 0) reservations.delete(id);
    return new Map([...own].map(([pnode, bytes]) => [pnode, Math.min(bytes, claimed)]));
  });

  const host = Effect.gen(function* () {
    const left = yield* Effect.forEach([...reservations.keys()], leftOf);
    const described = yield* call("host", (xen) => xen.host());
    return hostOf(described, (pnode) => total(left.map((of) => of.get(pnode) ?? 0)));
  });

  /** A key of a domain's directory; absent or unreadable ones are left out. */
  const key = <A>(domain: DomainId, path: string, parse: (text: string) => NumaKeys.Parsed<A>) =>
    Effect.match(store.read(NumaKeys.at(domain, path)), {
      onFailure: () => undefined,
      onSuccess: (text) => Result.getOrUndefined(parse(text)),
    });

  /** The toolstack's word for it, else the node of the first pcpu that the vCPUs may use. */
  const pnodeOf = Effect.fnUntraced(function* (
    domain: NativeDomain,
    vnode: number,
    { cpus }: NativeHost,
  ) {
    const id = DomainId.make(domain.id);
    const written = yield* key(id, NumaKeys.path.pnode(vnode), NumaKeys.parsePnode);
    if (written !== undefined) return written;
    const own = new Set(domain.vnodes[vnode]?.vcpus);
    const first = domain.vcpus.find((vcpu) => own.has(vcpu.id))?.affinity[0];
    return PnodeId.make(cpus.find((cpu) => cpu.id === first)?.node ?? 0);
  });

  const describe = Effect.fnUntraced(function* (domain: NativeDomain, on: NativeHost) {
    const id = DomainId.make(domain.id);
    // A mask of Xen's may name CPUs that are not.
    const there = new Set(on.cpus.map((cpu) => cpu.id));
    const pcpus = (mask: ReadonlyArray<number>) =>
      mask.filter((cpu) => there.has(cpu)).map((cpu) => PcpuId.make(cpu));
    const name = yield* key(id, "name", Result.succeed);
    const targetBytes = yield* key(id, NumaKeys.path.memoryTarget, NumaKeys.parseKib);
    // One that the guest has not brought up yet, as it boots, is for it to use all the same.
    const mayUse = yield* Effect.forEach(
      domain.vcpus,
      (vcpu) => key(id, NumaKeys.path.availability(vcpu.id), NumaKeys.parseAvailability),
      { concurrency: "unbounded" },
    );
    const resident = yield* call("residentBytes", (xen) => xen.residentBytes(domain.id));
    const info: DomainInfo = {
      domain: id,
      name: name ?? `domain-${domain.id}`,
      state: domain.dying ? "dying" : domain.paused ? "paused" : "running",
      memoryBytes: domain.heldBytes,
      limitBytes: domain.limitBytes,
      targetBytes: targetBytes ?? domain.heldBytes,
      vcpus: domain.vcpus.map((vcpu, index) => ({
        id: VcpuId.make(vcpu.id),
        online: mayUse[index] ?? vcpu.online,
        affinity: pcpus(vcpu.affinity),
      })),
      softAffinity: domain.vcpus.map((vcpu) => ({
        vcpu: VcpuId.make(vcpu.id),
        pcpus: pcpus(vcpu.softAffinity),
      })),
      vnuma: yield* Effect.forEach(domain.vnodes, ({ sizeBytes, vcpus }, vnode) =>
        Effect.map(pnodeOf(domain, vnode, on), (pnode) => ({
          id: VnodeId.make(vnode),
          pnode,
          capacityBytes: sizeBytes,
          vcpus: vcpus.map((vcpu) => VcpuId.make(vcpu)),
        })),
      ),
      distances: square(domain.distances),
      residentBytes:
        resident.length === 0
          ? []
          : on.nodes.map((node) => ({
              pnode: PnodeId.make(node.id),
              bytes: resident[node.id] ?? 0,
            })),
    };
    return info;
  });

  const find = (operation: string, id: DomainId): Effect.Effect<NativeDomain, HypervisorFailure> =>
    Effect.flatMap(
      call(operation, (xen) => xen.domain(id)),
      ([domain]) =>
        domain === undefined
          ? refuse("NoSuchDomain", operation, `no domain ${id}`)
          : Effect.succeed(domain),
    );

  /** The domain, if it has all of the vCPUs: nothing is done to some of them only. */
  const withVcpus = Effect.fnUntraced(function* (
    operation: string,
    id: DomainId,
    vcpus: ReadonlyArray<VcpuId>,
  ) {
    const domain = yield* find(operation, id);
    const known = new Set(domain.vcpus.map((vcpu) => vcpu.id));
    const unknown = vcpus.find((vcpu) => !known.has(vcpu));
    if (unknown !== undefined) {
      return yield* refuse("NoSuchVcpu", operation, `domain ${id} has no vCPU ${unknown}`);
    }
    return domain;
  });

  const setVcpusOnline = Effect.fn("LiveHypervisor.setVcpusOnline")(function* (
    id: DomainId,
    vcpus: ReadonlyArray<VcpuId>,
    online: boolean,
  ) {
    const operation = "setVcpusOnline";
    yield* withVcpus(operation, id, vcpus);
    // A guest's kernel looks at each of the keys by itself: no transaction.
    yield* Effect.forEach(
      vcpus,
      (vcpu) =>
        store.write(
          NumaKeys.at(id, NumaKeys.path.availability(vcpu)),
          NumaKeys.printAvailability(online),
        ),
      { concurrency: "unbounded", discard: true },
    ).pipe(
      Effect.catchTag("XenStoreError", ({ message }) => refuse("Refused", operation, message)),
    );
  });

  const pinVcpus = Effect.fn("LiveHypervisor.pinVcpus")(function* (
    id: DomainId,
    vcpus: ReadonlyArray<VcpuId>,
    pcpus: ReadonlyArray<PcpuId>,
  ) {
    const operation = "pinVcpus";
    yield* withVcpus(operation, id, vcpus);
    const { cpus } = yield* call(operation, (xen) => xen.host());
    const unknown = pcpus.find((pcpu) => !cpus.some((cpu) => cpu.id === pcpu));
    if (unknown !== undefined) return yield* refuse("Refused", operation, `no pcpu ${unknown}`);
    if (pcpus.length === 0) return yield* refuse("Refused", operation, "an empty affinity");
    yield* Effect.forEach(vcpus, (vcpu) => call(operation, (xen) => xen.pin(id, vcpu, pcpus)));
  });

  const reserve = Effect.fn("LiveHypervisor.reserve")(function* (
    id: DomainId,
    pnode: PnodeId,
    bytes: number,
  ) {
    const operation = "reserve";
    const { claimedBytes } = yield* find(operation, id);
    const own = yield* leftOf(id);
    const before = own.get(pnode) ?? 0;
    const free = (yield* host).pnodes.find((each) => each.id === pnode)?.freeBytes;
    if (free === undefined) return yield* refuse("NoSuchNode", operation, `no pnode ${pnode}`);
    if (bytes > free + before) {
      const detail = `pnode ${pnode} has ${free + before} bytes for domain ${id}, ${bytes} are asked for`;
      return yield* refuse("NoMemory", operation, detail);
    }
    const after = new Map(own);
    if (bytes === 0) after.delete(pnode);
    else after.set(pnode, bytes);
    const others = Math.min(total(after.values()) - bytes, claimedBytes);
    yield* call(operation, (xen) => xen.claim(id, others + bytes));
    if (after.size === 0) reservations.delete(id);
    else reservations.set(id, after);
  });

  /** Moves all that a vnode has; what is on the node already does not count. */
  const moveMemory = Effect.fnUntraced(function* (
    id: DomainId,
    vnode: VnodeId,
    pnode: PnodeId,
    operation: string,
  ) {
    let [next, movedPages, skippedPages] = [0, 0, 0];
    for (;;) {
      const from = next;
      const slice = yield* call(operation, (xen) =>
        xen.move(id, vnode, pnode, from, moveSlicePages),
      );
      movedPages += slice.movedPages;
      skippedPages += slice.skippedPages;
      if (slice.next === undefined) return { movedBytes: movedPages * pageBytes, skippedPages };
      next = slice.next;
    }
  });

  const moveVnode = Effect.fn("LiveHypervisor.moveVnode")(function* (
    id: DomainId,
    vnode: VnodeId,
    pnode: PnodeId,
  ) {
    const operation = "moveVnode";
    const domain = yield* find(operation, id);
    const size = domain.vnodes[vnode]?.sizeBytes;
    if (size === undefined) {
      return yield* refuse("NoSuchNode", operation, `domain ${id} has no vnode ${vnode}`);
    }
    const on = yield* call(operation, (xen) => xen.host());
    if (!on.nodes.some((node) => node.id === pnode)) {
      return yield* refuse("NoSuchNode", operation, `no pnode ${pnode}`);
    }
    const from = yield* pnodeOf(domain, vnode, on);
    const comesFrom = (node: PnodeId) =>
      call(operation, (xen) => xen.setVnodeNode(id, vnode, node));
    // First, so that what the guest balloons in meanwhile is where the rest will be.
    yield* comesFrom(pnode);
    // The move consumes the reservation. Xen holds a claim against the domain's own moves, too.
    const reserved = (yield* leftOf(id)).get(pnode) ?? 0;
    const consumed = Math.min(reserved, size);
    const moved = yield* reserve(id, pnode, reserved - consumed).pipe(
      Effect.andThen(moveMemory(id, vnode, pnode, operation)),
      Effect.onError(() =>
        Effect.forEach(
          [comesFrom(from), moveMemory(id, vnode, from, operation), reserve(id, pnode, reserved)],
          (undo) => Effect.ignore(undo),
        ),
      ),
    );
    yield* store
      .write(NumaKeys.at(id, NumaKeys.path.pnode(vnode)), NumaKeys.printPnode(pnode))
      .pipe(
        Effect.catchTag("XenStoreError", ({ message }) => refuse("Refused", operation, message)),
      );
    return moved;
  });

  return Hypervisor.of({
    host,
    domains: Effect.gen(function* () {
      const on = yield* call("domains", (xen) => xen.host());
      const domains = yield* call("domains", (xen) => xen.domains());
      return yield* Effect.forEach(domains, (domain) => describe(domain, on));
    }),
    domain: Effect.fn("LiveHypervisor.domain")(function* (id) {
      const on = yield* call("domain", (xen) => xen.host());
      return yield* describe(yield* find("domain", id), on);
    }),
    setVcpusOnline,
    pinVcpus,
    setLimit: (id, bytes) => call("setLimit", (xen) => xen.setLimit(id, bytes)),
    reserve,
    moveVnode,
  });
};
