/** The events of one watch between its source and the stream that reads them. */
import { Effect, Latch, Stream } from "effect";
import type { XenStoreFailure } from "../XenStore.ts";

/**
 * Distinct paths that wait for a slow reader. With more, only the watched path
 * itself waits, once: "anything at or below may have changed". So whoever floods
 * the store costs each watcher a bounded amount of memory and of work.
 */
const maxPending = 1024;

export class WatchEvents {
  readonly #path: string;
  readonly #news = Latch.makeUnsafe(false);
  #pending = new Set<string>();
  #failure: XenStoreFailure | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  add(path: string): void {
    this.#pending.add(path);
    if (this.#pending.size > maxPending) this.#pending = new Set([this.#path]);
    this.#news.openUnsafe();
  }

  /** Ends the stream, at once. */
  fail(failure: XenStoreFailure): void {
    this.#failure = failure;
    this.#news.openUnsafe();
  }

  /** What is pending, in turns; `gate` is waited for before each. */
  stream(gate: Effect.Effect<void>): Stream.Stream<string, XenStoreFailure> {
    const take: Effect.Effect<ReadonlyArray<string>, XenStoreFailure> = Effect.suspend(() => {
      if (this.#failure !== undefined) return Effect.fail(this.#failure);
      const paths = [...this.#pending];
      this.#pending.clear();
      this.#news.closeUnsafe();
      return Effect.succeed(paths);
    });
    const next = this.#news.await.pipe(Effect.andThen(gate), Effect.andThen(take));
    return Stream.fromIterableEffectRepeat(next);
  }
}
