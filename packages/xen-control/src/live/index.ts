/**
 * The live layer: the Xen that this machine runs, through Xen's own libraries.
 * Where there is none it can be built all the same, and every call fails with
 * `XenUnavailable`, which says what is missing.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer } from "effect";
import { Hypervisor } from "../Hypervisor.ts";
import { XenStore } from "../XenStore.ts";
import { makeLiveHypervisor } from "./LiveHypervisor.ts";
import { makeLiveStore } from "./LiveStore.ts";
import { closeHypervisor } from "./native.ts";

/** @since 0.1.0 */
export const layer: Layer.Layer<XenStore | Hypervisor> = Layer.effectContext(
  Effect.gen(function* () {
    const store = yield* makeLiveStore;
    const hypervisor = yield* Effect.acquireRelease(
      Effect.sync(() => makeLiveHypervisor(store)),
      () => closeHypervisor,
    );
    return Context.make(XenStore, store).pipe(Context.add(Hypervisor, hypervisor));
  }),
);
