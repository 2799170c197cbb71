import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Effect, type Scope } from "effect";

/** A path for a socket in a directory of its own, removed with the scope. */
export const socketPath: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "virtflex-test-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true })),
  ),
  (directory) => join(directory, "host"),
);
