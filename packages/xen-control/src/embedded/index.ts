/**
 * The embedded host: pnodes with memory, domains, and a xenstore with permissions,
 * transactions and watches, with no machine behind them. It keeps the rules of
 * Xen's own (`test/conformance`), and can be asked to fail.
 *
 * @since 0.1.0
 */
export * from "./EmbeddedConfig.ts";
export * from "./EmbeddedGuest.ts";
export * from "./EmbeddedHost.ts";
export { guestLayer, layer } from "./layer.ts";
