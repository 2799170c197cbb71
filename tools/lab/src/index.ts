/**
 * A real Xen host with NUMA nodes in QEMU, for tests, trials and figures. See docs/lab.md.
 *
 * @since 0.1.0
 */
export * as Command from "./Command.ts";
export * as GuestConfig from "./GuestConfig.ts";
export * as Lab from "./Lab.ts";
export * as LabError from "./LabError.ts";
export * as PlainLinux from "./meter/PlainLinux.ts";
export * as Shape from "./Shape.ts";
