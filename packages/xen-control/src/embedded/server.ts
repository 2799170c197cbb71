/**
 * Serves an embedded host on a unix socket, so that other processes can act on
 * it as dom0 or as the kernel of a guest (`@virtflex/xen-control/embedded-client`).
 *
 * Whoever may open the socket may be any domain: it is readable and writable by
 * its owner alone.
 *
 * @since 0.1.0
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem";
import * as NodeSocket from "@effect/platform-node/NodeSocket";
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer";
import { Effect, FileSystem, Layer, Option, Schema, type Scope } from "effect";
import { RpcSerialization, RpcServer } from "effect/rpc";
import { Socket, SocketServer } from "effect/socket";
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

/** A socket in a directory that nobody else may enter, until it is its owner's alone. */
const listenHidden = Effect.fnUntraced(function* (socket: string, directory: string) {
  const fs = yield* FileSystem.FileSystem;
  const hidden = join(directory, "s");
  if (Buffer.byteLength(hidden) > maxSocketPath) {
    return yield* refuse(socket, `the path is too long for a socket, ${maxSocketPath} bytes`);
  }
  const server = yield* NodeSocketServer.make({ path: hidden });
  yield* fs.chmod(hidden, 0o600);
  const inodeOf = (path: string) =>
    Effect.map(fs.stat(path), ({ ino }) => Option.getOrUndefined(ino));
  const own = yield* inodeOf(hidden);
  const removeOwn = Effect.flatMap(inodeOf(socket), (inode) =>
    inode === own ? fs.remove(socket) : Effect.void,
  );
  yield* Effect.acquireRelease(fs.rename(hidden, socket), () => Effect.ignore(removeOwn));
  return server;
});

/**
 * Listens at the path. There is no moment in which others than its owner could
 * open the socket, and a stale one is replaced in one step.
 */
const listen = Effect.fnUntraced(
  function* (socket: string) {
    const fs = yield* FileSystem.FileSystem;
    yield* checkFree(socket);
    return yield* Effect.acquireUseRelease(
      fs.makeTempDirectory({ directory: dirname(socket), prefix: ".virtflex-" }),
      (directory) => listenHidden(socket, directory),
      (directory) => Effect.ignore(fs.remove(directory, { recursive: true })),
    );
  },
  (effect, socket) =>
    Effect.catchTag(effect, ["PlatformError", "SocketServerError"], (error) =>
      refuse(socket, error.message),
    ),
);

/** A client that vanishes is not the server's error, and no line in its log. */
const forgiving = (server: SocketServer.SocketServer["Service"]) =>
  SocketServer.SocketServer.of({
    ...server,
    run: (handler) =>
      server.run((socket) =>
        Effect.catchDefect(handler(socket), (defect) =>
          Socket.isSocketError(defect) ? Effect.void : Effect.die(defect),
        ),
      ),
  });

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
      Layer.provide(Layer.succeed(SocketServer.SocketServer, forgiving(server))),
      Layer.provide(RpcSerialization.layerNdjson),
    );
    yield* RpcServer.layer(Protocol, { disableTracing: true }).pipe(
      Layer.provide(handlersOf(machine)),
      Layer.provide(transport),
      Layer.build,
    );
  }).pipe(Effect.provide(NodeFileSystem.layer));
