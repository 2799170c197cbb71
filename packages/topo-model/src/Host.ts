/**
 * A host: physical nodes, their CPUs and memory, and the distances between them.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";
import { Bytes, PcpuId, PnodeId } from "./Ids.ts";

/**
 * ACPI SLIT: `distances[from][to]`, 10 on the diagonal, above 10 elsewhere, at
 * most 255 (unreachable). May be asymmetric. Row and column i belong to the
 * i-th node of the list that the matrix stands beside.
 *
 * @since 0.1.0
 */
export const Distances = Schema.Array(Schema.Array(Schema.Int));
export type Distances = typeof Distances.Type;

/** @since 0.1.0 */
export const Pnode = Schema.Struct({
  id: PnodeId,
  pcpus: Schema.Array(PcpuId),
  memoryBytes: Bytes,
  /** What the hypervisor could give out now, reservations already taken off. */
  freeBytes: Bytes,
});
export type Pnode = typeof Pnode.Type;

/** @since 0.1.0 */
export const Host = Schema.Struct({
  pnodes: Schema.Array(Pnode),
  distances: Distances,
});
export type Host = typeof Host.Type;
