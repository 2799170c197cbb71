/**
 * NUMA topologies of hosts and guests: types, validation, planner, cost, pictures.
 *
 * @since 0.1.0
 */
export * from "./Cost.ts";
export * from "./Diff.ts";
export * from "./Document.ts";
export * from "./Guest.ts";
export * from "./Host.ts";
export * as Hwloc from "./Hwloc.ts";
export * from "./Ids.ts";
export * from "./LowTarget.ts";
export * from "./Model.ts";
export * as NumaKeys from "./NumaKeys.ts";
export * from "./Plan.ts";
export * from "./Planner.ts";
export * from "./PlanRefused.ts";
export * from "./Step.ts";
export * from "./SvgPicture.ts";
export * from "./TerminalPicture.ts";
export * from "./Topology.ts";
export * from "./TopologyChange.ts";
export * from "./Units.ts";
export * from "./Validation.ts";
