/** The services over one `Machine`, for a caller in the same process. */
import type { DomainId } from "@virtflex/topo-model";
import { Effect, Latch, type Result, type Scope } from "effect";
import { Hypervisor, type HypervisorError } from "../Hypervisor.ts";
import { EmbeddedGuest } from "./EmbeddedGuest.ts";
import { EmbeddedHost } from "./EmbeddedHost.ts";
import type { Machine } from "./Machine.ts";
import { connectStore, type Gate, type StoreConnection } from "./storeService.ts";

const call = <A>(run: () => Result.Result<A, HypervisorError>): Effect.Effect<A, HypervisorError> =>
  Effect.suspend(() => Effect.fromResult(run()));

export const hypervisorOf = (machine: Machine): Hypervisor["Service"] =>
  Hypervisor.of({
    host: Effect.sync(() => machine.host),
    domains: Effect.sync(() => machine.domains),
    domain: (domain) => call(() => machine.domain(domain)),
    setVcpusOnline: (domain, vcpus, online) =>
      call(() => machine.setVcpusOnline(domain, vcpus, online)),
    pinVcpus: (domain, vcpus, pcpus) => call(() => machine.pinVcpus(domain, vcpus, pcpus)),
    setLimit: (domain, bytes) => call(() => machine.setLimit(domain, bytes)),
    reserve: (domain, pnode, bytes) => call(() => machine.reserve(domain, pnode, bytes)),
    moveVnode: (domain, vnode, pnode) => call(() => machine.moveVnode(domain, vnode, pnode)),
  });

/** Waits while the domain is paused; open again when it is destroyed. */
const runningGate = (
  machine: Machine,
  domain: DomainId,
): Effect.Effect<Gate, never, Scope.Scope> => {
  const latch = Latch.makeUnsafe(true);
  const follow = (changed: DomainId): void => {
    if (changed !== domain) return;
    if (machine.isPaused(domain)) latch.closeUnsafe();
    else latch.openUnsafe();
  };
  return Effect.as(
    Effect.acquireRelease(
      Effect.sync(() => {
        follow(domain);
        machine.onPause.add(follow);
      }),
      () => Effect.sync(() => machine.onPause.delete(follow)),
    ),
    latch.await,
  );
};

/** A guest's connection to the store, and the kernel's operations beside it. */
interface GuestConnection {
  readonly store: StoreConnection;
  readonly service: EmbeddedGuest["Service"];
}

export const connectGuest = Effect.fnUntraced(function* (machine: Machine, domain: DomainId) {
  yield* call(() => machine.domain(domain));
  const gate = yield* runningGate(machine, domain);
  const store = yield* connectStore(machine.store, domain, gate);
  const whenRunning = <A>(
    run: () => Result.Result<A, HypervisorError>,
  ): Effect.Effect<A, HypervisorError> => Effect.andThen(gate, call(run));
  const connection: GuestConnection = {
    store,
    service: EmbeddedGuest.of({
      domain,
      store: store.service,
      onlineVcpus: whenRunning(() => machine.onlineVcpus(domain)),
      heldBytes: (vnode) => whenRunning(() => machine.held(domain, vnode)),
      // The fault of a guest that stops half-way pauses it here: it never sees the answer.
      populate: (vnode, bytes) =>
        Effect.tap(
          whenRunning(() => machine.populate(domain, vnode, bytes)),
          () => gate,
        ),
      decrease: (vnode, bytes) =>
        Effect.tap(
          whenRunning(() => machine.decrease(domain, vnode, bytes)),
          () => gate,
        ),
    }),
  };
  return connection;
});

export const hostOf = (machine: Machine): EmbeddedHost["Service"] =>
  EmbeddedHost.of({
    createGuest: (guest) => call(() => machine.create(guest)),
    destroyGuest: (domain) => call(() => machine.destroy(domain)),
    guest: (domain) => Effect.map(connectGuest(machine, domain), ({ service }) => service),
    usage: Effect.sync(() => machine.store.usage),
    pause: (domain) => call(() => machine.setPaused(domain, true)),
    unpause: (domain) => call(() => machine.setPaused(domain, false)),
    pauseAfter: (domain, bytes) => call(() => machine.pauseAfter(domain, bytes)),
    leaveFree: (pnode, bytes) => call(() => machine.leaveFree(pnode, bytes)),
    conflictNext: (commits) => Effect.sync(() => machine.store.conflictNext(commits)),
  });
