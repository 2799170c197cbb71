/**
 * The processes whose runtimes follow the page of a plain file: who they are,
 * and which generation each has acknowledged. One that dies is dropped.
 *
 * Reference: native/abi/include/virtflex/topology_page.h, "Registering with a
 * plain-file publisher".
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Layer, Semaphore, Stream, SubscriptionRef } from "effect";
import { directoryOf, events } from "./internal/events.ts";
import { native } from "./live/native.ts";
import type { PageError } from "./PageError.ts";

/** One process. @since 0.1.0 */
export interface Runtime {
  readonly pid: number;
  /** Last acknowledged; 0: none yet. */
  readonly generation: bigint;
  /**
   * Milliseconds from the generation's publication to when its acknowledgement
   * was seen; undefined if that was there before anybody looked.
   */
  readonly adaptedMs: number | undefined;
}

/** @since 0.1.0 */
export interface Registered {
  /** The one that was published when this was looked up. */
  readonly generation: bigint;
  /** By pid. At most 4,096: those beyond aren't looked at. */
  readonly runtimes: ReadonlyArray<Runtime>;
}

/** How many of them acknowledged `generation`, or a later one. @since 0.1.0 */
export const countAdapted = ({ runtimes }: Registered, generation: bigint): number =>
  runtimes.filter((runtime) => runtime.generation >= generation).length;

/** @since 0.1.0 */
export class RuntimeRegistry extends Context.Service<
  RuntimeRegistry,
  {
    /** Looks now. */
    readonly registered: Effect.Effect<Registered, PageError>;
    /** What is now, and then each change. Sleeps in between. */
    readonly changes: Stream.Stream<Registered, PageError>;
  }
>()("@virtflex/guest-notify/RuntimeRegistry") {
  /**
   * Of the page at `path`, which must have been made: {@link PagePublisher.layer}.
   *
   * @since 0.1.0
   */
  static readonly layer = (path: string) =>
    Layer.effect(
      RuntimeRegistry,
      Effect.gen(function* () {
        const directory = directoryOf(path);
        const page = yield* Effect.acquireRelease(
          native(path, ({ Reader }) => new Reader(path)),
          (reader) => Effect.sync(() => reader.close()),
        );
        const exclusive = yield* Semaphore.make(1);
        const start = { generation: page.generation(), runtimes: [] };
        const known = yield* SubscriptionRef.make<Registered>(start);

        /** Looks, keeps what is new, and answers whether a file has to be looked at again. */
        const scan = Effect.gen(function* () {
          const { generation, found } = yield* native(path, ({ scanRuntimes }) => ({
            generation: page.generation(),
            found: scanRuntimes(directory),
          }));
          const now = yield* Clock.monotonicTimeNanos;
          const before = yield* SubscriptionRef.get(known);
          const runtimes = found.runtimes
            .map((runtime): Runtime => {
              const was = before.runtimes.find(({ pid }) => pid === runtime.pid);
              if (was?.generation === runtime.generation) return was;
              // Seen at the moment, unless this is the first look at it.
              const timely = was !== undefined && runtime.generation === found.published.generation;
              const adaptedMs = timely ? Number(now - found.published.nanos) / 1e6 : undefined;
              return { ...runtime, adaptedMs };
            })
            .sort((a, b) => a.pid - b.pid);
          const same =
            generation === before.generation &&
            runtimes.length === before.runtimes.length &&
            runtimes.every((runtime, i) => runtime === before.runtimes[i]);
          if (!same) yield* SubscriptionRef.set(known, { generation, runtimes });
          return found.pending;
        }).pipe(Semaphore.withPermit(exclusive));

        // A new file that nobody has locked yet, or never will.
        const scanUntilSettled = Effect.repeat(
          Effect.tap(scan, (pending) => (pending ? Effect.sleep("250 millis") : Effect.void)),
          { while: (pending) => pending },
        );
        const scans = events(path, directory).pipe(
          Stream.switchMap(() => Stream.fromEffectDrain(scanUntilSettled)),
        );
        return RuntimeRegistry.of({
          registered: Effect.andThen(scan, SubscriptionRef.get(known)),
          // Never what was known of old: who waits for all to adapt would miss a newcomer.
          changes: Stream.unwrap(
            Effect.as(scan, Stream.merge(SubscriptionRef.changes(known), scans)),
          ),
        });
      }),
    );
}
