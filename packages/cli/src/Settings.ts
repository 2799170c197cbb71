/**
 * Flags that every command has.
 */
import { Flag, GlobalFlag } from "effect/cli";

export const Json = GlobalFlag.Setting("json")({
  flag: Flag.Boolean("json").pipe(
    Flag.withDescription("Print one JSON document on stdout, for machines"),
    Flag.withDefault(false),
    Flag.withoutNegation,
  ),
});

export const HostKind = GlobalFlag.Setting("host")({
  flag: Flag.Literals("host", ["auto", "embedded", "live"]).pipe(
    Flag.withMetavar("KIND"),
    Flag.withDescription(
      "Which host: live is this machine's Xen; embedded is one that `virtflex embedded serve` keeps; auto takes the embedded one if it runs",
    ),
    Flag.withDefault("auto"),
  ),
});

export const Socket = GlobalFlag.Setting("socket")({
  flag: Flag.String("socket").pipe(
    Flag.withMetavar("PATH"),
    Flag.withDescription(
      "Socket of the embedded host; $VIRTFLEX_EMBEDDED, else virtflex/embedded.sock in $XDG_RUNTIME_DIR, unless given",
    ),
    Flag.optional,
  ),
});

export const settings = [Json, HostKind, Socket] as const;
