/**
 * Reads a topology page, whoever publishes it, as a runtime does: a mapping, one
 * load to see whether something changed, a consistent copy when it did.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Schedule, Stream } from "effect";
import { directoryOf, events } from "./internal/events.ts";
import { native } from "./live/native.ts";
import { PageError } from "./PageError.ts";
import { decode, type PublishedPage } from "./TopologyPage.ts";

/** Where the kernel module publishes. @since 0.1.0 */
export const kernelPage = "/proc/virtflex/topology";

/** Writing takes microseconds: who is still at it after this has died of it. */
const whileBeingWritten = { times: 50, schedule: Schedule.spaced("1 millis") };

/** @since 0.1.0 */
export class PageReader extends Context.Service<
  PageReader,
  {
    /** One load, no system call; 0: nothing was published yet. */
    readonly generation: Effect.Effect<bigint, PageError>;
    /** A consistent, checked copy. */
    readonly read: Effect.Effect<PublishedPage, PageError>;
    /**
     * The page as it is, if anything was published, and then each new
     * generation; those that follow one another faster than they are taken are
     * told as the last of them. Sleeps in between.
     */
    readonly changes: Stream.Stream<PublishedPage, PageError>;
  }
>()("@virtflex/guest-notify/PageReader") {
  /**
   * Maps the page at `path` until the scope ends. The kernel module counts every
   * process that has its page open as a runtime: this one acknowledges what it reads.
   *
   * @since 0.1.0
   */
  static readonly layer = (path: string) =>
    Layer.effect(
      PageReader,
      Effect.gen(function* () {
        const page = yield* Effect.acquireRelease(
          native(path, ({ Reader }) => new Reader(path)),
          (reader) => Effect.sync(() => reader.close()),
        );
        const fail = (reason: PageError["reason"], detail: string) =>
          new PageError({ path, reason, detail });

        const generation = native(path, () => page.generation());

        const copy = native(path, () => page.copy()).pipe(
          Effect.retry({ while: ({ reason }) => reason === "busy", ...whileBeingWritten }),
        );
        const read = Effect.gen(function* () {
          const bytes = yield* copy;
          if ((yield* generation) === 0n) {
            return yield* fail("unpublished", "nothing was published yet");
          }
          const decoded = yield* Effect.fromResult(decode(bytes)).pipe(
            Effect.mapError(({ message }) => fail("invalid", message)),
          );
          yield* native(path, () => page.acknowledge(decoded.generation));
          return decoded;
        }).pipe(Effect.withSpan("PageReader.read"));

        const changes = events(path, page.kernel ? page.fd : directoryOf(path)).pipe(
          Stream.mapEffect(() => generation),
          Stream.filter((now) => now > 0n),
          Stream.changes,
          Stream.mapEffect(() => read),
          Stream.changesWith((a, b) => a.generation === b.generation),
        );
        return PageReader.of({ generation, read, changes });
      }),
    );
}
