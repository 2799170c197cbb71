/**
 * An embedded host of this machine's CPUs, as `virtflex` serves it.
 *
 * @since 0.1.0
 */
import { Effect, Stream } from "effect";
import { ChildProcess } from "effect/process";
import { join } from "node:path";

const root = join(import.meta.dirname, "../../..");

/** Starts `virtflex embedded serve` on a socket, with more arguments, and waits until it is ready. @since 0.1.0 */
export const serve = Effect.fnUntraced(function* (socket: string, ...more: ReadonlyArray<string>) {
  const program = join(root, "packages/cli/build/main.js");
  const server = yield* ChildProcess.make(
    process.execPath,
    [program, "embedded", "serve", "--socket", socket, ...more],
    { stdin: "ignore", stdout: "ignore" },
  );
  yield* server.stderr.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.takeUntil((line) => line.startsWith("Serving on")),
    Stream.runDrain,
  );
});
