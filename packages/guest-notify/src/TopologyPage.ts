/**
 * The topology page: what a guest's kernel, or a process in its stead, tells
 * the runtimes of the machine. Its one definition is
 * native/abi/include/virtflex/topology_page.h; this is the same in TypeScript.
 *
 * @since 0.1.0
 */
import { Bytes, Distances, VnodeId } from "@virtflex/topo-model";
import { Result, Schema } from "effect";

/** One node; a node's number is its place in the list. @since 0.1.0 */
export const PageNode = Schema.Struct({
  /** The guest was built with it. */
  present: Schema.Boolean,
  /** Threads and memory may be placed here. */
  online: Schema.Boolean,
  /** It is being left: nothing new is placed here. */
  evacuating: Schema.Boolean,
  /** What it has now, not its capacity. */
  memoryBytes: Bytes,
});
export type PageNode = typeof PageNode.Type;

/** @since 0.1.0 */
export const TopologyPage = Schema.Struct({
  nodes: Schema.Array(PageNode),
  /** The node of each CPU, in order; null: the CPU is not online. */
  cpuNode: Schema.Array(Schema.NullOr(VnodeId)),
  /** `distances[from][to]` of all nodes: 10 on the diagonal, above 10 elsewhere. */
  distances: Distances,
  /** How to ask for a placement reset: the number of the system call, 0: there is none. */
  resetCall: Schema.Int,
});
export type TopologyPage = typeof TopologyPage.Type;

/** A page as it was published. @since 0.1.0 */
export const PublishedPage = Schema.Struct({
  ...TopologyPage.fields,
  /** Raised once for every change that a runtime should see; never lowered. */
  generation: Schema.BigInt,
});
export type PublishedPage = typeof PublishedPage.Type;

/** Offsets and limits of topology_page.h; a test holds them against the compiler's. */
export const layout = {
  magic: 0,
  abi: 4,
  sequence: 8,
  pageSize: 12,
  generation: 64,
  nodeCount: 128,
  cpuCount: 132,
  resetCall: 136,
  node: 192,
  nodeStride: 16,
  nodeFlags: 0,
  nodeMemoryKib: 8,
  cpuNode: 1216,
  distance: 3264,
  size: 8192,
  maxNodes: 64,
  maxCpus: 1024,
  magicValue: 0x50544656,
  abiValue: 1,
  cpuOffline: 0xffff,
  nodePresent: 1,
  nodeOnline: 2,
  nodeEvacuating: 4,
} as const;

/** A field that breaks a rule of the ABI. @since 0.1.0 */
export class PageInvalid extends Schema.TaggedError<PageInvalid>()("PageInvalid", {
  /** As in the header: `node_count`, `cpu_node[3]`. */
  field: Schema.String,
  rule: Schema.String,
  found: Schema.Union([Schema.Finite, Schema.BigInt]),
}) {
  readonly code = "PAGE_FIELD_INVALID";
  override get message(): string {
    return `${this.field} must be ${this.rule}, found ${this.found}`;
  }
}

type Checked = Result.Result<void, PageInvalid>;

const check = (ok: boolean, field: string, rule: string, found: number | bigint): Checked =>
  ok ? Result.void : Result.fail(new PageInvalid({ field, rule, found }));

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const maxMemoryKib = BigInt(Math.floor(Number.MAX_SAFE_INTEGER / 1024));

const checkDistance = (from: number, to: number, found: number): Checked =>
  from === to
    ? check(found === 10, `distance[${from}][${to}]`, "10", found)
    : check(found > 10 && found <= 255, `distance[${from}][${to}]`, "from 11 to 255", found);

/**
 * The bytes of a page, identity, sequence and generation left 0: they are the
 * publisher's to write.
 *
 * @since 0.1.0
 */
export const encode = (page: TopologyPage): Result.Result<Uint8Array, PageInvalid> =>
  Result.gen(function* () {
    const bytes = new Uint8Array(layout.size);
    const data = view(bytes);
    const nodes = page.nodes.length;
    const cpus = page.cpuNode.length;
    const { maxNodes, maxCpus } = layout;
    yield* check(nodes > 0 && nodes <= maxNodes, "node_count", `from 1 to ${maxNodes}`, nodes);
    yield* check(cpus > 0 && cpus <= maxCpus, "cpu_count", `from 1 to ${maxCpus}`, cpus);
    data.setUint32(layout.nodeCount, nodes, true);
    data.setUint32(layout.cpuCount, cpus, true);
    data.setUint32(layout.resetCall, page.resetCall, true);
    for (const [id, node] of page.nodes.entries()) {
      const at = layout.node + id * layout.nodeStride;
      const flags =
        (node.present ? layout.nodePresent : 0) |
        (node.online ? layout.nodeOnline : 0) |
        (node.evacuating ? layout.nodeEvacuating : 0);
      data.setUint32(at + layout.nodeFlags, flags, true);
      const kib = BigInt(Math.floor(node.memoryBytes / 1024));
      data.setBigUint64(at + layout.nodeMemoryKib, kib, true);
      for (let to = 0; to < nodes; to++) {
        const distance = page.distances[id]?.[to] ?? 0;
        yield* checkDistance(id, to, distance);
        data.setUint8(layout.distance + id * maxNodes + to, distance);
      }
    }
    for (let cpu = 0; cpu < maxCpus; cpu++) {
      const node = page.cpuNode[cpu] ?? null;
      yield* check(node === null || node < nodes, `cpu_node[${cpu}]`, `below ${nodes}`, node ?? 0);
      data.setUint16(layout.cpuNode + cpu * 2, node ?? layout.cpuOffline, true);
    }
    return bytes;
  });

/**
 * Reads a consistent copy. Whoever wrote it is not trusted: every count and
 * number is checked, and one that breaks its rule refuses the page as a whole.
 * Flags that this ABI does not define are ignored, and so are the distances of
 * nodes that are not present.
 *
 * @since 0.1.0
 */
export const decode = (bytes: Uint8Array): Result.Result<PublishedPage, PageInvalid> =>
  Result.gen(function* () {
    yield* check(bytes.length >= layout.size, "page", `${layout.size} bytes`, bytes.length);
    const data = view(bytes);
    const u32 = (offset: number) => data.getUint32(offset, true);
    const is = (field: string, offset: number, value: number) =>
      check(u32(offset) === value, field, String(value), u32(offset));
    yield* is("magic", layout.magic, layout.magicValue);
    yield* is("abi", layout.abi, layout.abiValue);
    yield* is("page_size", layout.pageSize, layout.size);
    const { maxNodes, maxCpus } = layout;
    const nodeCount = u32(layout.nodeCount);
    const cpuCount = u32(layout.cpuCount);
    const within = (n: number, most: number) => n > 0 && n <= most;
    yield* check(within(nodeCount, maxNodes), "node_count", `from 1 to ${maxNodes}`, nodeCount);
    yield* check(within(cpuCount, maxCpus), "cpu_count", `from 1 to ${maxCpus}`, cpuCount);

    const nodes: Array<PageNode> = [];
    for (let id = 0; id < nodeCount; id++) {
      const at = layout.node + id * layout.nodeStride;
      const flags = u32(at + layout.nodeFlags);
      const present = (flags & layout.nodePresent) !== 0;
      const online = (flags & layout.nodeOnline) !== 0;
      const evacuating = (flags & layout.nodeEvacuating) !== 0;
      const used = online || evacuating;
      yield* check(present || !used, `node[${id}].flags`, "without online when not present", flags);
      yield* check(online || !evacuating, `node[${id}].flags`, "online when evacuating", flags);
      const kib = data.getBigUint64(at + layout.nodeMemoryKib, true);
      const rule = `at most ${maxMemoryKib}`;
      yield* check(kib <= maxMemoryKib, `node[${id}].memory_kib`, rule, kib);
      nodes.push({ present, online, evacuating, memoryBytes: Number(kib) * 1024 });
    }

    const cpuNode: Array<VnodeId | null> = [];
    for (let cpu = 0; cpu < cpuCount; cpu++) {
      const node = data.getUint16(layout.cpuNode + cpu * 2, true);
      if (node === layout.cpuOffline) {
        cpuNode.push(null);
        continue;
      }
      const field = `cpu_node[${cpu}]`;
      yield* check(node < nodeCount, field, `below node_count, ${nodeCount}`, node);
      yield* check(nodes[node]?.present === true, field, "a node that is present", node);
      cpuNode.push(VnodeId.make(node));
    }

    const distances: Array<Array<number>> = [];
    for (let from = 0; from < nodeCount; from++) {
      const row: Array<number> = [];
      for (let to = 0; to < nodeCount; to++) {
        const distance = data.getUint8(layout.distance + from * maxNodes + to);
        if (nodes[from]?.present === true && nodes[to]?.present === true) {
          yield* checkDistance(from, to, distance);
        }
        row.push(distance);
      }
      distances.push(row);
    }
    const generation = data.getBigUint64(layout.generation, true);
    return { generation, nodes, cpuNode, distances, resetCall: u32(layout.resetCall) };
  });

/** What a runtime follows: a node that is being left and one that was left are the same to it. */
const usable = (page: TopologyPage) => {
  const node = ({ online, evacuating }: PageNode) => online && !evacuating;
  const cpus = page.cpuNode.map((id) =>
    id !== null && page.nodes[id] !== undefined && node(page.nodes[id]) ? id : null,
  );
  while (cpus.length > 0 && cpus.at(-1) === null) cpus.pop();
  const nodes = page.nodes.flatMap((each, id) => (node(each) ? [id] : []));
  const distances = nodes.map((from) => nodes.map((to) => page.distances[from]?.[to]));
  return JSON.stringify([nodes, cpus, distances, page.resetCall]);
};

/**
 * Whether runtimes have nothing to adapt to between the two: the same nodes may
 * be used, with the same CPUs and distances. How much memory a node has is none
 * of their business, so that a change raises the generation once: a shrink at
 * its beginning, an expansion at its end.
 *
 * @since 0.1.0
 */
export const sameForRuntimes = (a: TopologyPage, b: TopologyPage): boolean =>
  usable(a) === usable(b);
