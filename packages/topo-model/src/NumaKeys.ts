/**
 * The `numa/*` keys of xenstore through which host and guest talk: their
 * paths, and one parser and one printer for each value. Both sides use these,
 * so that what one writes the other reads.
 *
 * Every parser takes hostile text: it is bounded in length and in numbers,
 * accepts a closed grammar and nothing around it (no sign, blank, leading zero or
 * trailing byte), and answers a `Result` instead of throwing. For each value
 * `parse(print(value))` is the value itself.
 *
 * Below `/local/domain/<domid>/`; sizes are KiB in decimal, as Xen has them.
 *
 * @since 0.1.0
 */
import { Result, Schema } from "effect";
import { Desired } from "./Guest.ts";
import { type DomainId, PnodeId, VcpuId, VnodeId } from "./Ids.ts";
import { RequestOp } from "./Step.ts";

/** Nodes of a guest: ids below this (VIRTFLEX_MAX_NODES of the topology page). @since 0.1.0 */
export const maxNodes = 64;
/** vCPUs of a guest: ids below this (VIRTFLEX_MAX_CPUS of the topology page). @since 0.1.0 */
export const maxCpus = 1024;
/** Bytes that a xenstore value can have (XENSTORE_PAYLOAD_MAX of xs_wire.h). @since 0.1.0 */
export const maxValueLength = 4096;
/** The longest deadline of a request in milliseconds: 24 days, what a timer can hold. @since 0.1.0 */
export const maxDeadlineMs = 0x7fff_ffff;

/**
 * How far a vnode's actual memory may be from its target when the guest says
 * `done`: one extent of its balloon, 2 MiB.
 *
 * @since 0.1.0
 */
export const toleranceBytes = 2 * 1024 * 1024;

/** The value of `numa/version` and of `control/feature-virtflex`. @since 0.1.0 */
export const contractVersion = "1";

// --- paths -------------------------------------------------------------------

/**
 * Keys relative to the guest's own directory, which is how a guest names them.
 * The comment gives the owner, who alone writes the key.
 *
 * @since 0.1.0
 */
export const path = {
  /** Host. */
  version: "numa/version",
  /** Host, written when the other keys of the change stand. */
  request: "numa/request",
  /** Host. */
  nodes: "numa/node",
  /** Host. */
  node: (vnode: number) => `numa/node/${vnode}`,
  /** Host. */
  pnode: (vnode: number) => `numa/node/${vnode}/pnode`,
  /** Host. */
  capacity: (vnode: number) => `numa/node/${vnode}/capacity`,
  /** Host. */
  target: (vnode: number) => `numa/node/${vnode}/target`,
  /** Host. */
  vcpus: (vnode: number) => `numa/node/${vnode}/vcpus`,
  /** Host. */
  desired: (vnode: number) => `numa/node/${vnode}/desired`,
  /** Guest. */
  status: "numa/status",
  /** Guest. */
  state: "numa/status/state",
  /** Guest. */
  generation: "numa/status/generation",
  /** Guest. */
  nodeStatuses: "numa/status/node",
  /** Guest. */
  nodeStatus: (vnode: number) => `numa/status/node/${vnode}`,
  /** Guest. */
  runtimes: "numa/status/runtimes",
  /** Guest: it understands this version of the contract. */
  feature: "control/feature-virtflex",
  /** Host: Xen's own directory of vCPUs. */
  cpus: "cpu",
  /** Host: Xen's own key, as `libxl_set_vcpuonline` writes it. */
  availability: (vcpu: number) => `cpu/${vcpu}/availability`,
  /** Host: Xen's own key, what the domain should hold in all, as `libxl_set_memory_target` writes it. */
  memoryTarget: "memory/target",
} as const;

/** The directory of a domain: `/local/domain/<domid>`. @since 0.1.0 */
export const domainPath = (domain: DomainId): string => `/local/domain/${domain}`;

/** A key as the host names it: `at(domain, path.request)`. @since 0.1.0 */
export const at = (domain: DomainId, key: string): string => `${domainPath(domain)}/${key}`;

// --- errors ------------------------------------------------------------------

/** A value that is not of its key's grammar. @since 0.1.0 */
export class NumaKeyError extends Schema.TaggedError<NumaKeyError>()("NumaKeyError", {
  /** What was being read: `request`, `cpu list`. */
  what: Schema.String,
  /** The rule that it breaks. */
  rule: Schema.String,
  /** The text, cut short and quoted, safe to print. */
  found: Schema.String,
}) {
  readonly code = "NUMA_KEY_INVALID";
  override get message(): string {
    return `Invalid ${this.what}: ${this.rule}, found ${this.found}`;
  }
}

/** @since 0.1.0 */
export type Parsed<A> = Result.Result<A, NumaKeyError>;

/** What is shown of a text that somebody else wrote. */
const shownLength = 40;

const refuse = (what: string, rule: string, text: string): Result.Result<never, NumaKeyError> => {
  const cut = text.length > shownLength ? `${text.slice(0, shownLength)}…` : text;
  return Result.fail(new NumaKeyError({ what, rule, found: JSON.stringify(cut) }));
};

// --- scalars -----------------------------------------------------------------

const decimal = /^(?:0|[1-9][0-9]{0,15})$/;

/** A decimal between the bounds, or undefined. */
const decimalBetween = (text: string, minimum: number, maximum: number): number | undefined => {
  if (!decimal.test(text)) return undefined;
  const value = Number(text);
  return value >= minimum && value <= maximum ? value : undefined;
};

const parseDecimal = (
  what: string,
  text: string,
  minimum: number,
  maximum: number,
): Parsed<number> => {
  const value = decimalBetween(text, minimum, maximum);
  return value === undefined
    ? refuse(what, `a decimal from ${minimum} to ${maximum}`, text)
    : Result.succeed(value);
};

const maxKib = Math.floor(Number.MAX_SAFE_INTEGER / 1024);

/**
 * `numa/node/<v>/capacity`, `numa/node/<v>/target`: KiB in the store, bytes here.
 *
 * @since 0.1.0
 */
export const parseKib = (text: string): Parsed<number> =>
  Result.map(parseDecimal("size in KiB", text, 0, maxKib), (kib) => kib * 1024);

/** Bytes as KiB, rounded down to a whole one. @since 0.1.0 */
export const printKib = (bytes: number): string => String(Math.floor(bytes / 1024));

/** `numa/node/<v>/pnode`. @since 0.1.0 */
export const parsePnode = (text: string): Parsed<PnodeId> =>
  Result.map(parseDecimal("pnode", text, 0, 0xffff), (id) => PnodeId.make(id));

/** @since 0.1.0 */
export const printPnode = (pnode: PnodeId): string => String(pnode);

/** The name of a directory below `numa/node` or `numa/status/node`. @since 0.1.0 */
export const parseVnode = (text: string): Parsed<VnodeId> =>
  Result.map(parseDecimal("vnode", text, 0, maxNodes - 1), (id) => VnodeId.make(id));

/** The name of a directory below `cpu`. @since 0.1.0 */
export const parseVcpu = (text: string): Parsed<VcpuId> =>
  Result.map(parseDecimal("vcpu", text, 0, maxCpus - 1), (id) => VcpuId.make(id));

const isDesired = Schema.is(Desired);

/** `numa/node/<v>/desired`. @since 0.1.0 */
export const parseDesired = (text: string): Parsed<Desired> =>
  isDesired(text) ? Result.succeed(text) : refuse("desired state", "online or offline", text);

/** `cpu/<n>/availability`: whether the guest may use the vCPU. @since 0.1.0 */
export const parseAvailability = (text: string): Parsed<boolean> =>
  Result.map(parseDesired(text), (state) => state === "online");

/** @since 0.1.0 */
export const printAvailability = (online: boolean): Desired => (online ? "online" : "offline");

/** `numa/status/generation`: 64 bits, hence a `bigint`. @since 0.1.0 */
export const parseGeneration = (text: string): Parsed<bigint> => {
  const rule = "a decimal below 2^64";
  if (!/^(?:0|[1-9][0-9]{0,19})$/.test(text)) return refuse("generation", rule, text);
  const value = BigInt(text);
  return value < 1n << 64n ? Result.succeed(value) : refuse("generation", rule, text);
};

/** @since 0.1.0 */
export const printGeneration = (generation: bigint): string => String(generation);

// --- cpu list ----------------------------------------------------------------

/**
 * `numa/node/<v>/vcpus`: ids and ranges in ascending order, none twice, as in
 * `0-6,28-34`; the empty text for a vnode without vCPUs. The grammar of Linux's
 * `cpulist` files (Documentation/admin-guide/cputopology.rst), in order.
 *
 * @since 0.1.0
 */
export const parseCpuList = (text: string): Parsed<ReadonlyArray<VcpuId>> => {
  if (text.length > maxValueLength) {
    return refuse("cpu list", `at most ${maxValueLength} bytes`, text);
  }
  if (text === "") return Result.succeed([]);
  const cpus: Array<VcpuId> = [];
  let next = 0;
  for (const part of text.split(",")) {
    const ends = part.split("-");
    const first = decimalBetween(ends[0] ?? "", next, maxCpus - 1);
    const last = ends.length === 1 ? first : decimalBetween(ends[1] ?? "", next, maxCpus - 1);
    if (first === undefined || last === undefined || last < first || ends.length > 2) {
      const rule = `ids below ${maxCpus} and ranges such as 0-6,28-34, ascending, none twice`;
      return refuse("cpu list", rule, text);
    }
    for (let cpu = first; cpu <= last; cpu++) cpus.push(VcpuId.make(cpu));
    next = last + 1;
  }
  return Result.succeed(cpus);
};

/** The shortest list of the ids, in any order and with repetitions. @since 0.1.0 */
export const printCpuList = (cpus: ReadonlyArray<number>): string => {
  const ranges: Array<[first: number, last: number]> = [];
  for (const cpu of [...new Set(cpus)].sort((a, b) => a - b)) {
    const open = ranges.at(-1);
    if (open !== undefined && open[1] === cpu - 1) open[1] = cpu;
    else ranges.push([cpu, cpu]);
  }
  return ranges
    .map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))
    .join(",");
};

// --- request -----------------------------------------------------------------

/**
 * What a request asks for; `cancel` gives up the request of the same id.
 *
 * @since 0.1.0
 */
export const GuestOp = Schema.Literals([...RequestOp.literals, "cancel"]);
export type GuestOp = typeof GuestOp.Type;

/**
 * `numa/request`. The host numbers its requests upwards from 1; a guest acts
 * only on an id above the last that it finished. A `cancel` bears the id of
 * the request that it cancels; it is answered with `cancelled` once the state
 * before the request is restored, and not at all when that id is finished.
 *
 * @since 0.1.0
 */
export interface Request {
  readonly id: number;
  readonly op: GuestOp;
  /** Milliseconds that the guest has from the moment when it sees the request. */
  readonly deadlineMs: number;
}

const isGuestOp = Schema.is(GuestOp);

/** `<id> <op> <deadline-ms>`. @since 0.1.0 */
export const parseRequest = (text: string): Parsed<Request> => {
  const [idText, op, deadlineText, ...rest] = text.length > maxValueLength ? [] : text.split(" ");
  const id = decimalBetween(idText ?? "", 1, Number.MAX_SAFE_INTEGER);
  const deadlineMs = decimalBetween(deadlineText ?? "", 1, maxDeadlineMs);
  return id !== undefined && isGuestOp(op) && deadlineMs !== undefined && rest.length === 0
    ? Result.succeed({ id, op, deadlineMs })
    : refuse("request", `"<id> <${GuestOp.literals.join("|")}> <deadline-ms>"`, text);
};

/** @since 0.1.0 */
export const printRequest = (request: Request): string =>
  `${request.id} ${request.op} ${request.deadlineMs}`;

// --- status ------------------------------------------------------------------

/**
 * Why a request failed. Whatever the code, the guest is then in the state that
 * it had before the request, and `numa/status/node/<v>` says which that is;
 * `restore` alone says that it could not go back.
 *
 * | code | meaning |
 * |---|---|
 * | `bad-request` | `numa/request` is not of its grammar |
 * | `bad-node` | a key below `numa/node` is missing, malformed or contradicts another: a target above the capacity, a vCPU in two nodes |
 * | `unsupported` | this guest does not know the operation or the contract's version |
 * | `home-node` | the node of vCPU 0 was to go offline |
 * | `no-memory` | the host gave less memory than the target |
 * | `busy` | a leaving node's memory could not be freed: it is in use |
 * | `deadline` | the time of the request is over |
 * | `superseded` | another request arrived before this one had finished |
 * | `publish` | the topology page could not be written |
 * | `internal` | a defect of the guest's side |
 * | `restore` | it failed, and then the state before could not be restored: what is now is in `numa/status/node/<v>` |
 *
 * @since 0.1.0
 */
export const FailureCode = Schema.Literals([
  "bad-request",
  "bad-node",
  "unsupported",
  "home-node",
  "no-memory",
  "busy",
  "deadline",
  "superseded",
  "publish",
  "internal",
  "restore",
]);
export type FailureCode = typeof FailureCode.Type;

/** The states on the way of a request, in order; then comes one that ends it. @since 0.1.0 */
export const ProgressState = Schema.Literals(["accepted", "evacuating", "resizing", "settling"]);
export type ProgressState = typeof ProgressState.Type;

/**
 * `numa/status/state`. The id is 0 where no request can be named: none came
 * yet, or one whose id could not be read failed.
 *
 * @since 0.1.0
 */
export type RequestStatus =
  | { readonly id: number; readonly state: ProgressState | "done" | "cancelled" }
  | { readonly id: number; readonly state: "failed"; readonly code: FailureCode };

const isFailureCode = Schema.is(FailureCode);
const isOtherState = Schema.is(Schema.Literals([...ProgressState.literals, "done", "cancelled"]));

/** `<id> <state> [<code>]`, the code with `failed` and with nothing else. @since 0.1.0 */
export const parseState = (text: string): Parsed<RequestStatus> => {
  const [idText, state, code, ...rest] = text.length > maxValueLength ? [] : text.split(" ");
  const id = decimalBetween(idText ?? "", 0, Number.MAX_SAFE_INTEGER);
  if (id !== undefined && rest.length === 0) {
    if (state === "failed" && isFailureCode(code)) return Result.succeed({ id, state, code });
    if (isOtherState(state) && code === undefined) return Result.succeed({ id, state });
  }
  return refuse("status", '"<id> <state> [<code>]"', text);
};

/** @since 0.1.0 */
export const printState = (status: RequestStatus): string =>
  status.state === "failed" ? `${status.id} failed ${status.code}` : `${status.id} ${status.state}`;

/** Whether the request of this status is over. @since 0.1.0 */
export const isFinal = (status: RequestStatus): boolean => !Schema.is(ProgressState)(status.state);

/** @since 0.1.0 */
export const NodeState = Schema.Literals(["online", "evacuating", "offline"]);
export type NodeState = typeof NodeState.Type;

/** `numa/status/node/<v>`: what the vnode has. @since 0.1.0 */
export interface NodeStatus {
  readonly actualBytes: number;
  readonly state: NodeState;
}

const isNodeState = Schema.is(NodeState);

/** `<actual-KiB> <state>`. @since 0.1.0 */
export const parseNodeStatus = (text: string): Parsed<NodeStatus> => {
  const [kibText, state, ...rest] = text.length > maxValueLength ? [] : text.split(" ");
  const kib = decimalBetween(kibText ?? "", 0, maxKib);
  return kib !== undefined && isNodeState(state) && rest.length === 0
    ? Result.succeed({ actualBytes: kib * 1024, state })
    : refuse("node status", `"<actual-KiB> <${NodeState.literals.join("|")}>"`, text);
};

/** @since 0.1.0 */
export const printNodeStatus = (status: NodeStatus): string =>
  `${printKib(status.actualBytes)} ${status.state}`;

/**
 * `numa/status/runtimes`: processes with a runtime that adapts, and how many
 * of them acknowledged the generation that is published now.
 *
 * @since 0.1.0
 */
export interface Runtimes {
  readonly adapted: number;
  readonly known: number;
}

/** Processes that one guest can have (PID_MAX_LIMIT of Linux). */
const maxRuntimes = 1 << 22;

/** `<adapted>/<known>`. @since 0.1.0 */
export const parseRuntimes = (text: string): Parsed<Runtimes> => {
  const [adaptedText, knownText, ...rest] = text.length > maxValueLength ? [] : text.split("/");
  const known = decimalBetween(knownText ?? "", 0, maxRuntimes);
  const adapted = decimalBetween(adaptedText ?? "", 0, known ?? 0);
  return known !== undefined && adapted !== undefined && rest.length === 0
    ? Result.succeed({ adapted, known })
    : refuse("runtimes", '"<adapted>/<known>", adapted at most known', text);
};

/** @since 0.1.0 */
export const printRuntimes = (runtimes: Runtimes): string =>
  `${runtimes.adapted}/${runtimes.known}`;
