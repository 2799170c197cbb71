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

export type HostChoice =
  { readonly kind: "embedded"; readonly socket: string } | { readonly kind: "live" };

/** Decides by `--host`, `--socket` and what is there. */
export const chooseHost = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem;
  const kind = yield* HostKind;
  const socket = yield* embeddedSocket;
  const embedded: HostChoice = { kind: "embedded", socket };
  const live: HostChoice = { kind: "live" };
  if (kind !== "auto") return kind === "live" ? live : embedded;
  const asked = Option.isSome(yield* Socket) || (process.env["VIRTFLEX_EMBEDDED"] ?? "") !== "";
  if (asked || (yield* fs.exists(socket))) return embedded;
  if (yield* fs.exists("/proc/xen/capabilities")) return live;
  return yield* new XenUnavailable({
    missing: `neither a Xen (/proc/xen/capabilities) nor an embedded host (${socket}) is here`,
    hint: "Start an embedded one to try things: virtflex embedded serve",
  });
});

/** The host alone. */
export const hostLayerOf = (choice: HostChoice) =>
  choice.kind === "embedded" ? EmbeddedClient.layer(choice.socket) : Live.layer;

/** A host, and this process as a controller of changes. */
export const controlLayerOf = (choice: HostChoice) =>
  Layer.merge(hostLayerOf(choice), Controller.layer);

/** The chosen host, connected when the layer is built. */
export const hostLayer = Layer.unwrap(Effect.map(chooseHost, hostLayerOf));

export const controlLayer = Layer.unwrap(Effect.map(chooseHost, controlLayerOf));
