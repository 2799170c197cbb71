/** Events of the addon's waiting thread as a stream. */
import { Effect, Queue, Stream } from "effect";
import { native } from "../live/native.ts";
import { PageError } from "../PageError.ts";

/** Something happened: what, is looked up. */
type Event = "event";

/**
 * One element at the start and one for each event or burst of them: a change in a
 * directory, or POLLPRI on the descriptor of the kernel module's page. Fails
 * when the directory or the module goes away.
 */
export const events = (path: string, source: string | number): Stream.Stream<Event, PageError> =>
  Stream.callback<Event, PageError>(
    (queue) =>
      Effect.gen(function* () {
        yield* Effect.acquireRelease(
          native(path, ({ Waiter }) => {
            return new Waiter(source, (gone) => {
              if (gone) {
                const detail = "its publisher's directory or module went away";
                Effect.runSync(Queue.fail(queue, new PageError({ path, reason: "gone", detail })));
              } else Queue.offerUnsafe(queue, "event");
            });
          }),
          (waiter) => Effect.sync(() => waiter.close()),
        );
        Queue.offerUnsafe(queue, "event");
      }),
    // What happened is looked up, so that one element tells of all before it.
    { bufferSize: 1, strategy: "sliding" },
  );

/** The directory beside a plain file's page, as topology_page.h names it. */
export const directoryOf = (path: string): string => `${path}.d`;
