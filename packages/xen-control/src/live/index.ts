/**
 * The live layer: the Xen that this machine runs, through Xen's own libraries.
 * Where there is none it can be built all the same, and every call fails with
 * `XenUnavailable`, which says what is missing.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Result, Stream } from "effect";
import { Hypervisor } from "../Hypervisor.ts";
import { XenStore, type XenStoreOps, XenUnavailable } from "../XenStore.ts";
import { native } from "./native.ts";

const storeWithout = (reason: XenUnavailable): XenStore["Service"] => {
  const fail = () => Effect.fail(reason);
  const operations: XenStoreOps = {
    read: fail,
    write: fail,
    list: fail,
    remove: fail,
    permissions: fail,
    setPermissions: fail,
  };
  return XenStore.of({ ...operations, transaction: fail, watch: () => Stream.fail(reason) });
};

const hypervisorWithout = (reason: XenUnavailable): Hypervisor["Service"] => {
  const fail = () => Effect.fail(reason);
  return Hypervisor.of({
    host: Effect.fail(reason),
    domains: Effect.fail(reason),
    domain: fail,
    setVcpusOnline: fail,
    pinVcpus: fail,
    setLimit: fail,
    reserve: fail,
    moveVnode: fail,
  });
};

/** @since 0.1.0 */
export const layer: Layer.Layer<XenStore | Hypervisor> = Layer.effectContext(
  Effect.sync(() => {
    const reason = Result.match(native, {
      onSuccess: () =>
        new XenUnavailable({
          missing: "this release cannot drive a live Xen yet",
          hint: "Use an embedded host: virtflex embedded serve",
        }),
      onFailure: (missing) => missing,
    });
    return Context.make(XenStore, storeWithout(reason)).pipe(
      Context.add(Hypervisor, hypervisorWithout(reason)),
    );
  }),
);
