/**
 * A host and the guests that run on it, at one moment.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";
import { Guest, type Vnode } from "./Guest.ts";
import { Host } from "./Host.ts";

/** @since 0.1.0 */
export const Topology = Schema.Struct({
  host: Host,
  guests: Schema.Array(Guest),
});
export type Topology = typeof Topology.Type;

/**
 * The home vnode of a guest: the one with vCPU 0, which no kernel lets go.
 * `undefined` for a guest without virtual NUMA.
 *
 * @since 0.1.0
 */
export const homeVnode = (guest: Guest): Vnode | undefined =>
  guest.vnodes.find((vnode) => vnode.vcpus.some((vcpu) => vcpu === 0));
