/**
 * Which vCPUs the guest may use. A port, with a layer over the guest's store.
 *
 * @since 0.1.0
 */
import { NumaKeys, type VcpuId } from "@virtflex/topo-model";
import { Context, Effect, Layer, Result, Stream } from "effect";
import { absentCode, GuestStore, type PortFailure } from "./GuestStore.ts";

/** @since 0.1.0 */
export class Vcpus extends Context.Service<
  Vcpus,
  {
    readonly online: Effect.Effect<ReadonlySet<VcpuId>, PortFailure>;
    /** One element once it stands, and one after each change. */
    readonly changes: Stream.Stream<unknown, PortFailure>;
  }
>()("@virtflex/guest-notify/Vcpus") {
  /**
   * By `cpu/<n>/availability`, as the guest's kernel obeys it. A vCPU whose key
   * is not of its grammar is not used; vCPU 0 always is: no guest can do without.
   *
   * @since 0.1.0
   */
  static readonly layerStore = Layer.effect(
    Vcpus,
    Effect.gen(function* () {
      const store = yield* GuestStore;
      const isOnline = Effect.fnUntraced(function* (vcpu: VcpuId) {
        const text = yield* store.read(NumaKeys.path.availability(vcpu));
        return vcpu === 0 || Result.getOrElse(NumaKeys.parseAvailability(text), () => false);
      });
      const orElse =
        <A>(value: A) =>
        (failure: PortFailure): Effect.Effect<A, PortFailure> =>
          failure.code === absentCode ? Effect.succeed(value) : Effect.fail(failure);

      const online = Effect.gen(function* () {
        const names = yield* Effect.catch(store.list(NumaKeys.path.cpus), orElse([]));
        const vcpus = names.map(NumaKeys.parseVcpu).filter(Result.isSuccess);
        const found = yield* Effect.forEach(
          vcpus,
          ({ success: vcpu }) =>
            Effect.map(Effect.catch(isOnline(vcpu), orElse(false)), (is) => (is ? [vcpu] : [])),
          { concurrency: "unbounded" },
        );
        return new Set(found.flat());
      });
      return Vcpus.of({ online, changes: store.watch(NumaKeys.path.cpus) });
    }),
  );
}
