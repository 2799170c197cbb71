/**
 * What each step does to a host, as an executable model: the guest obeys, the
 * hypervisor moves what it is told to, and memory is neither made nor lost. It is the meaning of
 * a plan that the planner's properties, and other implementations of the steps, are held to.
 *
 * On every pnode, free + reserved + what guests hold is the same before and after each step.
 *
 * @since 0.1.0
 */
import { Result, Schema } from "effect";
import type { Guest, Vcpu, Vnode } from "./Guest.ts";
import { DomainId, type PnodeId, type VnodeId } from "./Ids.ts";
import type { Step } from "./Step.ts";
import type { Topology } from "./Topology.ts";
import { formatBytes } from "./Units.ts";

/** Memory set aside for a domain on a pnode, not consumed yet. @since 0.1.0 */
export interface Reservation {
  readonly domain: DomainId;
  readonly pnode: PnodeId;
  readonly bytes: number;
}

/** @since 0.1.0 */
export interface ModelState extends Topology {
  /** None with 0 bytes. */
  readonly reservations: ReadonlyArray<Reservation>;
}

/** A step that a host in this state could not do; the state is as it was. @since 0.1.0 */
export class StepImpossible extends Schema.TaggedError<StepImpossible>()("StepImpossible", {
  code: Schema.Literals([
    "UNKNOWN_DOMAIN",
    "UNKNOWN_VNODE",
    "UNKNOWN_PNODE",
    "NO_MEMORY",
    "ABOVE_LIMIT",
  ]),
  domain: DomainId,
  detail: Schema.String,
}) {
  override get message(): string {
    return `domain ${this.domain}: ${this.detail}`;
  }
}

/** The state before the first step: nothing reserved. @since 0.1.0 */
export const initialState = ({ host, guests }: Topology): ModelState => ({
  host,
  guests,
  reservations: [],
});

type Outcome = Result.Result<ModelState, StepImpossible>;

const reserved = (state: ModelState, domain: DomainId, pnode: PnodeId): number =>
  state.reservations.find((held) => held.domain === domain && held.pnode === pnode)?.bytes ?? 0;

const withReservation = (state: ModelState, domain: DomainId, pnode: PnodeId, bytes: number) => {
  const others = state.reservations.filter(
    (held) => held.domain !== domain || held.pnode !== pnode,
  );
  return { ...state, reservations: bytes === 0 ? others : [...others, { domain, pnode, bytes }] };
};

/** Takes memory out of what is free on a pnode; a negative amount is given back. */
const take = (state: ModelState, domain: DomainId, id: PnodeId, bytes: number): Outcome => {
  const refuse = (code: StepImpossible["code"], detail: string) =>
    Result.fail(new StepImpossible({ code, domain, detail }));
  const found = state.host.pnodes.find((pnode) => pnode.id === id);
  if (found === undefined) return refuse("UNKNOWN_PNODE", `the host has no pnode ${id}`);
  const freeBytes = found.freeBytes - bytes;
  if (freeBytes < 0) {
    const have = formatBytes(found.freeBytes);
    return refuse("NO_MEMORY", `${formatBytes(bytes)} needed on pnode ${id}, ${have} free`);
  }
  const pnodes = state.host.pnodes.map((p) => (p === found ? { ...p, freeBytes } : p));
  return Result.succeed({ ...state, host: { ...state.host, pnodes } });
};

/** As `take`, but first out of what the domain has reserved there. */
const consume = (state: ModelState, domain: DomainId, pnode: PnodeId, bytes: number): Outcome => {
  const held = reserved(state, domain, pnode);
  const fromReservation = Math.min(Math.max(bytes, 0), held);
  return take(
    withReservation(state, domain, pnode, held - fromReservation),
    domain,
    pnode,
    bytes - fromReservation,
  );
};

const guestOf = (state: ModelState, domain: DomainId): Result.Result<Guest, StepImpossible> => {
  const guest = state.guests.find((candidate) => candidate.domain === domain);
  const detail = "the host has no such domain";
  return guest === undefined
    ? Result.fail(new StepImpossible({ code: "UNKNOWN_DOMAIN", domain, detail }))
    : Result.succeed(guest);
};

const vnodeOf = (guest: Guest, id: VnodeId): Result.Result<Vnode, StepImpossible> => {
  const vnode = guest.vnodes.find((candidate) => candidate.id === id);
  const error = { code: "UNKNOWN_VNODE", domain: guest.domain, detail: `no vnode ${id}` } as const;
  return vnode === undefined ? Result.fail(new StepImpossible(error)) : Result.succeed(vnode);
};

const withGuest = (state: ModelState, domain: DomainId, change: (guest: Guest) => Guest) => ({
  ...state,
  guests: state.guests.map((guest) => (guest.domain === domain ? change(guest) : guest)),
});

const withVnode = (guest: Guest, id: VnodeId, change: Partial<Vnode>): Guest => ({
  ...guest,
  vnodes: guest.vnodes.map((vnode) => (vnode.id === id ? { ...vnode, ...change } : vnode)),
});

const withVcpus = (
  guest: Guest,
  ids: ReadonlyArray<number>,
  change: Partial<Omit<Vcpu, "id">>,
): Guest => ({
  ...guest,
  vcpus: guest.vcpus.map((vcpu) => (ids.includes(vcpu.id) ? { ...vcpu, ...change } : vcpu)),
});

const requested = (start: ModelState, step: Extract<Step, { _tag: "request" }>): Outcome =>
  Result.gen(function* () {
    const { domain } = step;
    const guest = yield* guestOf(start, domain);
    const parts: Array<{ readonly vnode: Vnode; readonly part: (typeof step.vnodes)[number] }> = [];
    for (const part of step.vnodes) parts.push({ vnode: yield* vnodeOf(guest, part.vnode), part });
    // A guest gives memory back before it asks for more.
    parts.sort((a, b) => growth(a) - growth(b));
    let state = start;
    for (const { vnode, part } of parts) {
      state = yield* consume(state, domain, vnode.pnode, growth({ vnode, part }));
      const targetBytes = part.targetBytes.to;
      const change = { targetBytes, actualBytes: targetBytes, desired: part.desired.to };
      state = withGuest(state, domain, (old) => withVnode(old, vnode.id, change));
    }
    const { targetBytes } = step;
    if (targetBytes) {
      state = withGuest(state, domain, (old) => ({ ...old, targetBytes: targetBytes.to }));
    }
    const after = yield* guestOf(state, domain);
    const holds = after.vnodes.reduce((sum, vnode) => sum + vnode.actualBytes, 0);
    if (holds > after.limitBytes) {
      const detail = `${formatBytes(holds)}, above its limit of ${formatBytes(after.limitBytes)}`;
      return yield* Result.fail(new StepImpossible({ code: "ABOVE_LIMIT", domain, detail }));
    }
    return state;
  });

const growth = ({
  vnode,
  part,
}: {
  readonly vnode: Vnode;
  readonly part: { readonly targetBytes: { readonly to: number } };
}): number => part.targetBytes.to - vnode.actualBytes;

const moved = (start: ModelState, step: Extract<Step, { _tag: "move" }>): Outcome =>
  Result.gen(function* () {
    const { domain, pnode } = step;
    const vnode = yield* vnodeOf(yield* guestOf(start, domain), step.vnode);
    if (vnode.pnode === pnode.to) return start;
    const taken = yield* consume(start, domain, pnode.to, vnode.actualBytes);
    const state = yield* take(taken, domain, vnode.pnode, -vnode.actualBytes);
    return withGuest(state, domain, (old) => withVnode(old, vnode.id, { pnode: pnode.to }));
  });

/**
 * The state after a step, or why the host can't do it. Each step sets what it
 * names to its `to`, so doing it twice is doing it once. The pnode in a request only tells
 * the guest; a vnode's memory goes where a move has put the vnode.
 *
 * @since 0.1.0
 */
export const applyStep = (state: ModelState, step: Step): Outcome =>
  Result.gen(function* () {
    const { domain } = step;
    yield* guestOf(state, domain);
    switch (step._tag) {
      case "reserve": {
        const { pnode, reservedBytes } = step;
        const missing = reservedBytes.to - reserved(state, domain, pnode);
        const taken = yield* take(state, domain, pnode, missing);
        return withReservation(taken, domain, pnode, reservedBytes.to);
      }
      case "limit":
        return withGuest(state, domain, (g) => ({ ...g, limitBytes: step.limitBytes.to }));
      case "pin":
        return withGuest(state, domain, (g) =>
          withVcpus(g, step.vcpus, { affinity: step.pcpus.to }),
        );
      case "vcpus":
        return withGuest(state, domain, (g) =>
          withVcpus(g, step.vcpus, { online: step.online.to }),
        );
      case "request":
        return yield* requested(state, step);
      case "move":
        return yield* moved(state, step);
    }
  });

/** The state after each step in turn, or the first that is impossible. @since 0.1.0 */
export const applySteps = (state: ModelState, steps: ReadonlyArray<Step>): Outcome =>
  steps.reduce<Outcome>(
    (current, step) => Result.flatMap(current, (reached) => applyStep(reached, step)),
    Result.succeed(state),
  );
