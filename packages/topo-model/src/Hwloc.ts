/**
 * Hosts from and to hwloc: this machine, its XML, and its synthetic descriptions.
 *
 * What hwloc does not say is set by rule:
 *
 * - **distances**: where it has no matrix of latencies between all nodes (a synthetic machine never
 *   has one), 10 to itself and 20 to any other, Linux's LOCAL_DISTANCE and REMOTE_DISTANCE
 *   (include/linux/topology.h);
 * - **free memory**: all of it, for hwloc knows only what is there;
 * - **one node a CPU**: a CPU that is local to several nodes (memory of another kind beside DRAM) is in the one
 *   with the fewest CPUs, and in the first of several such; the others have memory alone.
 *
 * @since 0.1.0
 */
import { Effect, Result, Schema } from "effect";
import { Host } from "./Host.ts";
import { skeletonXml } from "./internal/HwlocXml.ts";
import { native, type NativeNuma } from "./native.ts";
import { type InvalidTopology, validate } from "./Validation.ts";

/** Stable reasons why hwloc gives no answer. @since 0.1.0 */
export const HwlocReason = Schema.Literals([
  /** The addon was not built, or libhwloc is not installed. */
  "HWLOC_UNAVAILABLE",
  "HWLOC_MACHINE",
  "HWLOC_XML",
  "HWLOC_SYNTHETIC",
  "HWLOC_EXPORT",
]);
export type HwlocReason = typeof HwlocReason.Type;

/** @since 0.1.0 */
export class HwlocError extends Schema.TaggedError<HwlocError>()("HwlocError", {
  code: HwlocReason,
  /** What was to be read: a path, a description, or "this machine". */
  source: Schema.String,
  detail: Schema.String,
  cause: Schema.optionalKey(Schema.Defect()),
}) {
  override get message(): string {
    return `${this.source}: ${this.detail}`;
  }
}

const call = <A>(
  code: HwlocReason,
  source: string,
  use: (addon: Result.Result.Success<ReturnType<typeof native>>) => A,
): Effect.Effect<A, HwlocError> =>
  Effect.suspend(() => {
    const error = (reason: HwlocReason, cause: unknown) =>
      new HwlocError({
        code: reason,
        source,
        detail: (cause as Error).message,
        cause,
      });
    const addon = native();
    if (Result.isFailure(addon)) return Effect.fail(error("HWLOC_UNAVAILABLE", addon.failure));
    return Effect.try({ try: () => use(addon.success), catch: (cause) => error(code, cause) });
  });

const nearDistance = 10;
const farDistance = 20;

const distancesOf = ({ nodes, distances }: NativeNuma) =>
  nodes.map((_, from) =>
    nodes.map((__, to) => {
      const rule = from === to ? nearDistance : farDistance;
      return distances.length === 0 ? rule : (distances[from * nodes.length + to] ?? rule);
    }),
  );

/** By CPU, the index of its node. */
const ownersOf = ({ nodes }: NativeNuma): ReadonlyMap<number, number> => {
  const owners = new Map<number, number>();
  const byCpus = nodes.map(({ cpus }, index) => ({ cpus, index }));
  byCpus.sort((a, b) => a.cpus.length - b.cpus.length || a.index - b.index);
  for (const { cpus, index } of byCpus) {
    for (const cpu of cpus) if (!owners.has(cpu)) owners.set(cpu, index);
  }
  return owners;
};

const decodeHost = Schema.decodeUnknownResult(Host);

const toHost = (
  code: HwlocReason,
  source: string,
  numa: NativeNuma,
): Result.Result<Host, HwlocError | InvalidTopology> => {
  const owners = ownersOf(numa);
  const decoded = decodeHost({
    pnodes: numa.nodes.map(({ osIndex, cpus, memoryBytes }, index) => ({
      id: osIndex,
      pcpus: cpus.filter((cpu) => owners.get(cpu) === index),
      memoryBytes,
      freeBytes: memoryBytes,
    })),
    distances: distancesOf(numa),
  });
  if (Result.isFailure(decoded)) {
    return Result.fail(new HwlocError({ code, source, detail: decoded.failure.message }));
  }
  const host = decoded.success;
  return Result.map(validate({ host, guests: [] }), () => host);
};

const read = (
  code: HwlocReason,
  source: string,
  use: Parameters<typeof call<NativeNuma>>[2],
): Effect.Effect<Host, HwlocError | InvalidTopology> =>
  Effect.flatMap(call(code, source, use), (numa) => Effect.fromResult(toHost(code, source, numa)));

/** The machine that this runs on, as its operating system shows it. @since 0.1.0 */
export const readMachine: Effect.Effect<Host, HwlocError | InvalidTopology> = read(
  "HWLOC_MACHINE",
  "this machine",
  (addon) => addon.readMachine(),
);

/** A file that `lstopo --of xml` wrote. @since 0.1.0 */
export const readXmlFile = (path: string): Effect.Effect<Host, HwlocError | InvalidTopology> =>
  read("HWLOC_XML", path, (addon) => addon.readXml(path));

/**
 * A machine by hwloc's synthetic description, such as `node:4 core:8 pu:2`
 * (4 nodes of 16 CPUs and, unless it says otherwise, 1 GiB each).
 *
 * @since 0.1.0
 */
export const readSynthetic = (
  description: string,
): Effect.Effect<Host, HwlocError | InvalidTopology> =>
  read("HWLOC_SYNTHETIC", description, (addon) => addon.readSynthetic(description));

/**
 * A host in hwloc's XML, for `lstopo` and whatever else reads it: nodes with memory, CPUs
 * and distances. Cores and caches are not known here, and so not in it.
 *
 * @since 0.1.0
 */
export const writeXml = (host: Host): Effect.Effect<string, HwlocError | InvalidTopology> =>
  Effect.flatMap(Effect.fromResult(validate({ host, guests: [] })), () =>
    // hwloc knows no distances of a single node.
    call("HWLOC_EXPORT", "host", (addon) =>
      addon.writeXml(skeletonXml(host), host.pnodes.length > 1 ? host.distances.flat() : []),
    ),
  );
