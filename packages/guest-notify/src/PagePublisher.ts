/**
 * Publishes the topology page in a plain file, for runtimes on a machine whose
 * kernel does not.
 *
 * Limits: one publisher a file; the file's own file system must have record
 * locks and shared mappings, as local ones do.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Result, Semaphore } from "effect";
import { native } from "./live/native.ts";
import { PageError } from "./PageError.ts";
import { decode, encode, sameForRuntimes, type TopologyPage } from "./TopologyPage.ts";

/** @since 0.1.0 */
export class PagePublisher extends Context.Service<
  PagePublisher,
  {
    readonly path: string;
    /**
     * Makes the page this one. A reader sees the old page or the new one, never
     * a part of either. Answers its generation, which is raised if runtimes have to
     * see what changed.
     */
    readonly publish: (page: TopologyPage) => Effect.Effect<bigint, PageError>;
  }
>()("@virtflex/guest-notify/PagePublisher") {
  /**
   * Opens or makes the file at `path` and the directory `<path>.d`, where
   * runtimes register. A page that a predecessor left is carried on, its
   * generation too, and what it left half-written is repaired by the first
   * publication. The files stay.
   *
   * @since 0.1.0
   */
  static readonly layer = (path: string) =>
    Layer.effect(
      PagePublisher,
      Effect.gen(function* () {
        const page = yield* Effect.acquireRelease(
          native(path, ({ Publisher }) => new Publisher(path)),
          (publisher) => Effect.sync(() => publisher.close()),
        );
        const found = yield* native(path, () => decode(page.read()));
        // Of a half-written page nobody knows what runtimes made.
        let last: TopologyPage | undefined = page.torn ? undefined : Result.getOrUndefined(found);
        const exclusive = yield* Semaphore.make(1);

        const publish = Effect.fn("PagePublisher.publish")(function* (next: TopologyPage) {
          const bytes = yield* Effect.fromResult(encode(next)).pipe(
            Effect.mapError(
              ({ message }) => new PageError({ path, reason: "invalid", detail: message }),
            ),
          );
          const raised = last === undefined || !sameForRuntimes(last, next);
          return yield* native(path, () => {
            // Until it has succeeded nobody knows what is there.
            last = undefined;
            const generation = page.generation + (raised ? 1n : 0n);
            page.publish(bytes, generation);
            last = next;
            return generation;
          });
        });

        return PagePublisher.of({ path, publish: (next) => exclusive.withPermit(publish(next)) });
      }),
    );
}
