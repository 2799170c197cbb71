/**
 * NUMA topologies of hosts and guests: types, validation, planner, cost, pictures.
 *
 * @since 0.1.0
 */
export * from "./Guest.ts";
export * from "./Host.ts";
export * from "./Ids.ts";
export * as NumaKeys from "./NumaKeys.ts";
export * from "./Plan.ts";
export * from "./Step.ts";
export * from "./TopologyChange.ts";
