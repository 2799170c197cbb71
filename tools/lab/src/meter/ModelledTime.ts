/**
 * What a program would have taken on NUMA hardware of the host's distances.
 *
 * The model: each access costs 1 ns; an access that misses the cache costs
 * 90 ns more where the memory is on the CPU's own node, and in proportion to the
 * host's distance (SLIT, 10 is local) where it is not. A CPU's time is the sum
 * over its accesses; the program's time is that of its slowest CPU, as a barrier
 * would have it.
 *
 * Its limits: no overlap of misses within a CPU, no contention for a node's
 * memory or for a link, no coherence misses, prefetch or write-backs, no page
 * walks. So it overstates the price of distance for programs that stream, and
 * understates it where all CPUs hit one node. Ratios of two runs of one
 * program are what it is for; seconds are not.
 *
 * @since 0.1.0
 */
import { misses, type Reading } from "./Reading.ts";

/** Nanoseconds of an access that hits the cache. @since 0.1.0 */
export const hitNs = 1;

/** Nanoseconds that a miss to the CPU's own node adds. @since 0.1.0 */
export const localMissNs = 90;

const sum = (counts: ReadonlyArray<number>): number => counts.reduce((a, b) => a + b, 0);

/** Modelled nanoseconds of what was counted since the last reset. @since 0.1.0 */
export const modelledNs = (
  reading: Reading,
  distances: ReadonlyArray<ReadonlyArray<number>>,
): number =>
  Math.max(
    0,
    ...reading.vcpus.map((vcpu) => {
      const accesses = sum(vcpu.loads) + sum(vcpu.stores);
      const [row = []] = misses({ ...reading, vcpus: [vcpu] }).slice(vcpu.node);
      const far = row.map((count, to) => (count * (distances[vcpu.node]?.[to] ?? 10)) / 10);
      return reading.sample * accesses * hitNs + sum(far) * localMissNs;
    }),
  );
