/**
 * The guest's tree as the agent uses it: a path that is not there is no failure,
 * and any failure ends the agent.
 */
import { Effect, Stream } from "effect";
import { AgentError } from "../AgentError.ts";
import { absentCode, GuestStore, type PortFailure } from "../GuestStore.ts";

export const stopped = ({ code, message }: PortFailure): AgentError =>
  new AgentError({ reason: code, detail: message });

const orElse =
  <A>(value: A) =>
  (failure: PortFailure): Effect.Effect<A, AgentError> =>
    failure.code === absentCode ? Effect.succeed(value) : Effect.fail(stopped(failure));

export const make = Effect.map(GuestStore, (store) => {
  const written = new Map<string, string>();
  return {
    /** Undefined where there is no such path. */
    read: (path: string): Effect.Effect<string | undefined, AgentError> =>
      Effect.catch(store.read(path), orElse(undefined)),
    /** Writes a key that nobody else does, if it is to change. */
    write: Effect.fnUntraced(function* (path: string, value: string) {
      if (written.get(path) === value) return;
      // Until it has succeeded nobody knows what is there.
      written.delete(path);
      yield* Effect.mapError(store.write(path, value), stopped);
      written.set(path, value);
    }),
    list: (path: string): Effect.Effect<ReadonlyArray<string>, AgentError> =>
      Effect.catch(store.list(path), orElse([])),
    remove: (path: string): Effect.Effect<void, AgentError> =>
      Effect.suspend(() => {
        written.delete(path);
        return Effect.catch(store.remove(path), orElse(undefined));
      }),
    watch: (path: string): Stream.Stream<unknown, AgentError> =>
      Stream.mapError(store.watch(path), stopped),
  };
});

export type Store = Effect.Success<typeof make>;
