/**
 * What the NUMA meter has counted: per vCPU as the plugin says it, and per
 * [node of the CPU][node of the memory] as one looks at it.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";

const Counter = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0));

/** One entry a node, and a last one for memory that belongs to none. */
const PerNode = Schema.Array(Counter);

/**
 * One line of the plugin. Counts are of the sampled lines only, since the last
 * reset; `vcpus` are the emulated host's CPUs.
 *
 * @since 0.1.0
 */
export const Reading = Schema.Struct({
  on: Schema.Boolean,
  /** 1 line in so many is counted. */
  sample: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)),
  /** Bytes of a cache line. */
  line: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)),
  /** vCPUs of chosen guests, which alone are counted; null: all guests and dom0 are. */
  chosen: Schema.NullOr(Counter),
  vcpus: Schema.Array(
    Schema.Struct({
      node: Counter,
      loads: PerNode,
      stores: PerNode,
      loadMisses: PerNode,
      storeMisses: PerNode,
      /** Accesses to device memory. */
      io: Counter,
      /** Accesses whose address QEMU could not give. */
      unresolved: Counter,
    }),
  ),
});
export type Reading = typeof Reading.Type;

/** The rows of a vCPU. @since 0.1.0 */
export type Kind = "loads" | "stores" | "loadMisses" | "storeMisses";

/** `matrix[node of the CPU][node of the memory]`, scaled up to all lines. @since 0.1.0 */
export type Matrix = ReadonlyArray<ReadonlyArray<number>>;

const nodesOf = (reading: Reading): number =>
  Math.max(0, (reading.vcpus[0]?.loads.length ?? 1) - 1);

/** The sum of the kinds, by node of the CPU and node of the memory. @since 0.1.0 */
export const matrixOf = (reading: Reading, kinds: ReadonlyArray<Kind>): Matrix => {
  const nodes = Array.from({ length: nodesOf(reading) }, (_, node) => node);
  return nodes.map((from) => {
    const vcpus = reading.vcpus.filter(({ node }) => node === from);
    return nodes.map((to) => {
      const counts = vcpus.flatMap((vcpu) => kinds.map((kind) => vcpu[kind][to] ?? 0));
      return reading.sample * counts.reduce((sum, count) => sum + count, 0);
    });
  });
};

/** Cache misses, loads and stores together. @since 0.1.0 */
export const misses = (reading: Reading): Matrix =>
  matrixOf(reading, ["loadMisses", "storeMisses"]);

/** The share of a matrix that is off its diagonal; 0 for an empty one. @since 0.1.0 */
export const remoteShare = (matrix: Matrix): number => {
  const all = matrix.flat().reduce((sum, count) => sum + count, 0);
  const local = matrix.reduce((sum, row, node) => sum + (row[node] ?? 0), 0);
  return all === 0 ? 0 : 1 - local / all;
};
