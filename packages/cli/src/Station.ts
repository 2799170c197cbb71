/**
 * An embedded host with its guests: the host served on a socket by this
 * process, and the guest side of each guest in a process of its own, which ends
 * with this one.
 */
import { type Guest, NumaKeys } from "@virtflex/topo-model";
import { XenStore } from "@virtflex/xen-control";
import type { EmbeddedConfig } from "@virtflex/xen-control/embedded";
import * as EmbeddedClient from "@virtflex/xen-control/embedded-client";
import { serve } from "@virtflex/xen-control/embedded-server";
import { Effect, FileSystem, References, Stream } from "effect";
import { ChildProcess } from "effect/process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { topologyPage } from "./Paths.ts";
import { say } from "./Screen.ts";

const program = fileURLToPath(new URL("./main.js", import.meta.url));

/** Runs the guest side of a guest until it ends, which it does only when something is wrong. */
const runAgent = Effect.fnUntraced(function* (socket: string, { domain, distances }: Guest) {
  const page = topologyPage(socket, domain);
  const args = [
    ...["agent", "--socket", socket, "--domain", String(domain)],
    ...["--page", page, "--distances", JSON.stringify(distances)],
  ];
  const command = [process.execPath, program, ...args];
  // The kernel kills it when this process is no more, however that came about.
  const agent = yield* ChildProcess.make("setpriv", ["--pdeathsig", "KILL", "--", ...command], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
    forceKillAfter: "2 seconds",
  });
  const how = yield* agent.exitCode.pipe(
    Effect.map((status) => `ended with status ${status}`),
    // A signal is no exit code.
    Effect.catch(({ message }) => Effect.succeed(`ended: ${message}`)),
  );
  yield* say(`The guest side of domain ${domain} ${how}; it is started again`);
}, Effect.scoped);

/** Waits until the guest says that it understands the contract. */
const awaitAware = Effect.fnUntraced(function* ({ domain }: Guest) {
  const store = yield* XenStore;
  const key = NumaKeys.at(domain, NumaKeys.path.feature);
  yield* store.watch(key).pipe(
    Stream.mapEffect(() => store.read(key)),
    Stream.takeUntil((value) => value === NumaKeys.contractVersion),
    Stream.runDrain,
  );
});

/**
 * Opens it until the scope closes; every guest is ready when this returns. A
 * guest side that ends is started again.
 */
export const openStation = Effect.fn("openStation")(function* (
  config: EmbeddedConfig,
  socket: string,
) {
  const fs = yield* FileSystem.FileSystem;
  yield* fs.makeDirectory(dirname(socket), { recursive: true, mode: 0o700 });
  yield* serve(config, socket).pipe(
    // Clients may go without a word: the server is none the worse for it.
    Effect.provideService(References.UnhandledLogLevel, "Debug"),
  );
  for (const guest of config.guests) {
    yield* runAgent(socket, guest).pipe(
      Effect.andThen(Effect.sleep("500 millis")),
      Effect.forever,
      Effect.forkScoped,
    );
  }
  yield* Effect.forEach(config.guests, awaitAware, { concurrency: "unbounded" }).pipe(
    Effect.provide(EmbeddedClient.layer(socket)),
  );
});
