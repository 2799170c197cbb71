/** Embedded hosts for tests: in this process, and served on a socket. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Effect, Layer, Schedule, type Scope } from "effect";
import * as Client from "../src/embedded/client.ts";
import type { EmbeddedConfig } from "../src/embedded/index.ts";
import { serve } from "../src/embedded/server.ts";

/** A path for a socket in a directory of its own, removed with the scope. */
export const socketPath: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "virtflex-test-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true })),
  ),
  (directory) => join(directory, "host"),
);

/** A served host and a client of it. */
export const servedLayer = (config: EmbeddedConfig) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const socket = yield* socketPath;
      yield* serve(config, socket);
      return Client.layer(socket);
    }),
  );

/** Asks until the answer is as wanted, for up to ten seconds. */
export const until = <A, E, R>(effect: Effect.Effect<A, E, R>, wanted: (value: A) => boolean) =>
  effect.pipe(
    Effect.filterOrFail(wanted, () => "not within ten seconds" as const),
    Effect.retry(Schedule.upTo(Schedule.spaced("20 millis"), { times: 500 })),
  );
