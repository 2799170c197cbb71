/** The embedded host as a layer: a new host each time that it is built. */
import { Context, Effect, Layer, Result } from "effect";
import { Hypervisor, type HypervisorError, type HypervisorFailure } from "../Hypervisor.ts";
import { XenStore } from "../XenStore.ts";
import type { DomainId } from "@virtflex/topo-model";
import type { EmbeddedConfig } from "./EmbeddedConfig.ts";
import { EmbeddedGuest } from "./EmbeddedGuest.ts";
import { EmbeddedHost } from "./EmbeddedHost.ts";
import { Machine } from "./Machine.ts";
import { hostOf, hypervisorOf } from "./services.ts";
import { connectStore } from "./storeService.ts";

/** A host with the guests of its configuration. */
export const makeMachine = Effect.fnUntraced(function* (config: EmbeddedConfig) {
  const machine = new Machine(config);
  for (const guest of config.guests) {
    const created = machine.create(guest);
    if (Result.isFailure(created)) return yield* created.failure;
  }
  return machine;
});

/**
 * An embedded host in this process, gone with the layer's scope. A guest that
 * does not fit fails the layer and says where what is lacking.
 *
 * @since 0.1.0
 */
export const layer = (
  config: EmbeddedConfig,
): Layer.Layer<XenStore | Hypervisor | EmbeddedHost, HypervisorError> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const machine = yield* makeMachine(config);
      const { service } = yield* connectStore(machine.store, 0, Effect.void);
      return Context.make(XenStore, service).pipe(
        Context.add(Hypervisor, hypervisorOf(machine)),
        Context.add(EmbeddedHost, hostOf(machine)),
      );
    }),
  );

/**
 * The kernel of a guest of the embedded host.
 *
 * @since 0.1.0
 */
export const guestLayer = (
  domain: DomainId,
): Layer.Layer<EmbeddedGuest, HypervisorFailure, EmbeddedHost> =>
  Layer.effect(
    EmbeddedGuest,
    Effect.flatMap(EmbeddedHost, (host) => host.guest(domain)),
  );
