/**
 * A real Xen host with NUMA nodes in QEMU, for tests, trials and figures. See docs/lab.md.
 *
 * @since 0.1.0
 */
export * as Command from "./Command.ts";
export * as GuestConfig from "./GuestConfig.ts";
export * as Lab from "./Lab.ts";
export * as LabError from "./LabError.ts";
export * as Meter from "./meter/Meter.ts";
export * as ModelledTime from "./meter/ModelledTime.ts";
export * as PlainLinux from "./meter/PlainLinux.ts";
export * as Plugin from "./meter/Plugin.ts";
export * as Reading from "./meter/Reading.ts";
export * as Shape from "./Shape.ts";
export * as Clocks from "./whole/Clocks.ts";
export * as Faults from "./whole/Faults.ts";
export * as Subject from "./whole/Subject.ts";
export { sharedLab } from "./whole/SharedLab.ts";
export * as XenTests from "./XenTests.ts";
