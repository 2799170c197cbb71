/**
 * Which host a command talks to.
 */
import { XenUnavailable } from "@virtflex/xen-control";
import * as EmbeddedClient from "@virtflex/xen-control/embedded-client";
import * as Live from "@virtflex/xen-control/live";
import { Controller } from "@virtflex/pipeline";
import { Effect, FileSystem, Layer, Option } from "effect";
import { defaultSocket } from "./Paths.ts";
import { HostKind, Socket } from "./Settings.ts";

/** The socket that is asked for, or else the usual one. */
export const embeddedSocket = Effect.map(Socket, Option.getOrElse(defaultSocket));

const xenIsHere = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.exists("/proc/xen/capabilities"),
);

/** Decides by `--host`, `--socket` and what is there. */
const chooseHost = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem;
  const kind = yield* HostKind;
  const socket = yield* embeddedSocket;
  if (kind === "embedded") return { kind, socket } as const;
  const asked = Option.isSome(yield* Socket) || (process.env["VIRTFLEX_EMBEDDED"] ?? "") !== "";
  const served = asked || (yield* fs.exists(socket));
  if (kind === "auto" && served) return { kind: "embedded", socket } as const;
  if (kind === "live" || (yield* xenIsHere)) return { kind: "live" } as const;
  return yield* new XenUnavailable({
    missing: `neither a Xen (/proc/xen/capabilities) nor an embedded host (${socket}) is here`,
    hint: "Start an embedded one to try things: virtflex embedded serve",
  });
});

/** The chosen host, as a layer that is connected when it is built. */
export const hostLayer = Layer.unwrap(
  Effect.map(chooseHost, (choice) =>
    choice.kind === "embedded" ? EmbeddedClient.layer(choice.socket) : Live.layer,
  ),
);

/** The chosen host and this process as a controller of changes. */
export const controlLayer = Layer.merge(hostLayer, Controller.layer);
