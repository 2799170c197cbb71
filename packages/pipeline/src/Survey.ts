/**
 * Looks at a host and its guests: what the hypervisor says of them, what
 * xenstore says is wanted, and what the guests say they have.
 *
 * @since 0.1.0
 */
import { type Guest, NumaKeys, type Topology, type Vnode } from "@virtflex/topo-model";
import { type DomainInfo, Hypervisor } from "@virtflex/xen-control";
import { Effect } from "effect";
import { isAware, readKey } from "./StoreKeys.ts";

const { path } = NumaKeys;

/** What the guest says of itself; hostile values are as good as not written. @since 0.1.0 */
export interface GuestReport {
  /** Whether it understands this version of the contract. */
  readonly aware: boolean;
  readonly request: NumaKeys.Request | undefined;
  readonly status: NumaKeys.RequestStatus | undefined;
  readonly generation: bigint | undefined;
  readonly runtimes: NumaKeys.Runtimes | undefined;
  readonly nodes: ReadonlyMap<Vnode["id"], NumaKeys.NodeStatus>;
}

/** A domain with all that is known of it. @since 0.1.0 */
export interface SurveyedGuest {
  readonly guest: Guest;
  readonly state: DomainInfo["state"];
  readonly memoryBytes: number;
  /** Its memory by pnode; empty where the hypervisor can't tell. */
  readonly residentBytes: DomainInfo["residentBytes"];
  readonly report: GuestReport;
}

/** @since 0.1.0 */
export interface Survey {
  readonly topology: Topology;
  readonly guests: ReadonlyArray<SurveyedGuest>;
}

const surveyVnode = Effect.fnUntraced(function* (
  { domain, vcpus }: DomainInfo,
  { id, pnode, capacityBytes, vcpus: own }: DomainInfo["vnuma"][number],
) {
  const status = yield* readKey(domain, path.nodeStatus(id), NumaKeys.parseNodeStatus);
  const built = vcpus.some((vcpu) => vcpu.online && own.includes(vcpu.id)) ? "online" : "offline";
  const targetBytes = (yield* readKey(domain, path.target(id), NumaKeys.parseKib)) ?? capacityBytes;
  const believable = status !== undefined && status.actualBytes <= capacityBytes;
  const vnode: Vnode = {
    id,
    pnode: (yield* readKey(domain, path.pnode(id), NumaKeys.parsePnode)) ?? pnode,
    vcpus: own,
    capacityBytes,
    targetBytes,
    actualBytes: believable ? status.actualBytes : targetBytes,
    desired: (yield* readKey(domain, path.desired(id), NumaKeys.parseDesired)) ?? built,
  };
  return { vnode, status };
});

/** No more on a pnode than the hypervisor sees there, where it can tell: a guest may say anything. */
const capped = (vnodes: ReadonlyArray<Vnode>, { residentBytes }: DomainInfo) => {
  const left = new Map(residentBytes.map(({ pnode, bytes }) => [pnode, bytes]));
  return vnodes.map((vnode): Vnode => {
    const resident = left.get(vnode.pnode);
    if (resident === undefined) return vnode;
    const actualBytes = Math.min(vnode.actualBytes, resident);
    left.set(vnode.pnode, resident - actualBytes);
    return { ...vnode, actualBytes };
  });
};

const surveyGuest = Effect.fnUntraced(function* (info: DomainInfo) {
  const { domain, name, state, vcpus, distances, limitBytes, targetBytes } = info;
  const { memoryBytes, residentBytes } = info;
  const parts = yield* Effect.forEach(info.vnuma, (vnode) => surveyVnode(info, vnode));
  const report: GuestReport = {
    aware: yield* isAware(domain),
    request: yield* readKey(domain, path.request, NumaKeys.parseRequest),
    status: yield* readKey(domain, path.state, NumaKeys.parseState),
    generation: yield* readKey(domain, path.generation, NumaKeys.parseGeneration),
    runtimes: yield* readKey(domain, path.runtimes, NumaKeys.parseRuntimes),
    nodes: new Map(
      parts.flatMap(({ vnode, status }) => (status === undefined ? [] : [[vnode.id, status]])),
    ),
  };
  const vnodes = capped(
    parts.map(({ vnode }) => vnode),
    info,
  );
  const guest: Guest = { domain, name, vnodes, vcpus, distances, limitBytes, targetBytes };
  return { guest, state, memoryBytes, residentBytes, report };
});

/**
 * The host and every domain that lives.
 *
 * A vnode whose keys are not there has its capacity as its target and is
 * wanted online when one of its vCPUs is; one whose guest says nothing readable,
 * or more than the capacity, has what is wanted; and none has more than the
 * hypervisor sees on its pnode.
 *
 * @since 0.1.0
 */
export const survey = Effect.gen(function* () {
  const hypervisor = yield* Hypervisor;
  const host = yield* hypervisor.host;
  const domains = (yield* hypervisor.domains).filter(({ state }) => state !== "dying");
  const guests: ReadonlyArray<SurveyedGuest> = yield* Effect.forEach(domains, surveyGuest);
  const topology: Topology = { host, guests: guests.map(({ guest }) => guest) };
  return { topology, guests } satisfies Survey;
}).pipe(Effect.withSpan("survey"));
