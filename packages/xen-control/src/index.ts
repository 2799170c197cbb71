/**
 * Xen as two services, `XenStore` and `Hypervisor`, and their layers.
 *
 * @since 0.1.0
 */
export * from "./Hypervisor.ts";
export * from "./XenStore.ts";
