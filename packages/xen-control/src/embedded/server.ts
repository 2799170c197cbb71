/**
 * Serves an embedded host on a unix socket, so that other processes can act on
 * it as dom0 or as the kernel of a guest (`@virtflex/xen-control/embedded-client`).
 *
 * Whoever may open the socket may be any domain: it is readable and writable by
 * its owner alone.
 *
 * @since 0.1.0
 */
import { NodeFileSystem, NodeSocket, NodeSocketServer } from "@effect/platform-node";
import { Effect, FileSystem, Layer, Option, Schema, type Scope } from "effect";
import { RpcSerialization, RpcServer } from "effect/rpc";
import { SocketServer } from "effect/socket";
import { dirname, join } from "node:path";
import type { HypervisorError } from "../Hypervisor.ts";
import type { EmbeddedConfig } from "./EmbeddedConfig.ts";
import { handlersOf } from "./handlers.ts";
import { makeMachine } from "./layer.ts";
import { Protocol } from "./protocol.ts";

/** The socket can't be had. @since 0.1.0 */
export class EmbeddedServerError extends Schema.TaggedError<EmbeddedServerError>()(
  "EmbeddedServerError",
  { socket: Schema.String, detail: Schema.String },
) {
  readonly code = "EMBEDDED_SERVER";
  override get message(): string {
    return `Cannot serve on ${this.socket}: ${this.detail}`;
  }
}

/** sun_path of unix(7), with its NUL. */
const maxSocketPath = 107;

const refuse = (socket: string, detail: string): Effect.Effect<never, EmbeddedServerError> =>
  Effect.fail(new EmbeddedServerError({ socket, detail }));

/** Whether somebody listens there. */
const answers = (socket: string): Effect.Effect<boolean> =>
  NodeSocket.makeNet({ path: socket, openTimeout: "2 seconds" }).pipe(
    Effect.flatMap(({ reader }) => reader),
    Effect.scoped,
    Effect.match({ onSuccess: () => true, onFailure: () => false }),
  );

/** Fails unless nothing, or a socket that nobody listens on, has that path. */
const checkFree = Effect.fnUntraced(function* (socket: string) {
  const fs = yield* FileSystem.FileSystem;
  const found = yield* Effect.option(fs.stat(socket));
  if (found._tag === "None") return;
  if (found.value.type !== "Socket") return yield* refuse(socket, "a file of that name exists");
  if (yield* answers(socket)) return yield* refuse(socket, "another server is listening there");
});

/**
 * Listens at the path. The socket is made in a directory that nobody else may
 * enter and moved when only its owner may open it, so that there is no moment
 * in which others could, and a stale one is replaced in one step.
 */
const listen = Effect.fnUntraced(
  function* (socket: string) {
    const fs = yield* FileSystem.FileSystem;
    yield* checkFree(socket);
    const directory = yield* fs.makeTempDirectoryScoped({
      directory: dirname(socket),
      prefix: ".virtflex-",
    });
    const hidden = join(directory, "s");
    if (Buffer.byteLength(hidden) > maxSocketPath) {
      return yield* refuse(socket, `the path is too long for a socket, ${maxSocketPath} bytes`);
    }
    const server = yield* NodeSocketServer.make({ path: hidden });
    yield* fs.chmod(hidden, 0o600);
    const { ino } = yield* fs.stat(hidden);
    const inode = Option.getOrUndefined(ino);
    const isOurs = Effect.match(fs.stat(socket), {
      onSuccess: (now) => Option.getOrUndefined(now.ino) === inode,
      onFailure: () => false,
    });
    yield* Effect.acquireRelease(fs.rename(hidden, socket), () =>
      Effect.ignore(Effect.flatMap(isOurs, (ours) => (ours ? fs.remove(socket) : Effect.void))),
    );
    return server;
  },
  (effect, socket) =>
    Effect.catchTag(effect, ["PlatformError", "SocketServerError"], (error) =>
      refuse(socket, error.message),
    ),
);

/**
 * Builds an embedded host and serves it until the scope closes; the socket is
 * ready when this returns. Refuses a path that another server listens on, or that
 * is no socket; replaces one that a dead server left.
 *
 * @since 0.1.0
 */
export const serve = (
  config: EmbeddedConfig,
  socket: string,
): Effect.Effect<void, EmbeddedServerError | HypervisorError, Scope.Scope> =>
  Effect.gen(function* () {
    const machine = yield* makeMachine(config);
    const server = yield* listen(socket);
    const transport = RpcServer.layerProtocolSocketServer.pipe(
      Layer.provide(Layer.succeed(SocketServer.SocketServer, server)),
      Layer.provide(RpcSerialization.layerNdjson),
    );
    yield* RpcServer.layer(Protocol, { disableTracing: true }).pipe(
      Layer.provide(handlersOf(machine)),
      Layer.provide(transport),
      Layer.build,
    );
  }).pipe(Effect.provide(NodeFileSystem.layer));
