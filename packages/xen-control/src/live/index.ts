/**
 * The live layer: the Xen that this machine runs, through Xen's own libraries.
 * Where there is none it can be built all the same, and every call fails with
 * `XenUnavailable`, which says what is missing.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer } from "effect";
import { Hypervisor } from "../Hypervisor.ts";
import { XenStore, XenUnavailable } from "../XenStore.ts";
import { makeLiveStore } from "./LiveStore.ts";

const reason = new XenUnavailable({
  missing: "the live layer has no Hypervisor yet, only XenStore",
  hint: "Use an embedded host: virtflex embedded serve",
});

const fail = () => Effect.fail(reason);

const hypervisor = Hypervisor.of({
  host: Effect.fail(reason),
  domains: Effect.fail(reason),
  domain: fail,
  setVcpusOnline: fail,
  pinVcpus: fail,
  setLimit: fail,
  reserve: fail,
  moveVnode: fail,
});

/** @since 0.1.0 */
export const layer: Layer.Layer<XenStore | Hypervisor> = Layer.effectContext(
  Effect.map(makeLiveStore, (store) =>
    Context.make(XenStore, store).pipe(Context.add(Hypervisor, hypervisor)),
  ),
);
