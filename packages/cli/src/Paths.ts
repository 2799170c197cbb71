/**
 * Where the embedded host keeps its socket and its guests' topology pages.
 */
import type { DomainId } from "@virtflex/topo-model";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";

/** $XDG_RUNTIME_DIR/virtflex; without one, a directory of the user's own in the temporary directory. */
const runtimeDirectory = (): string => {
  const given = process.env["XDG_RUNTIME_DIR"] ?? "";
  return given === "" ? join(tmpdir(), `virtflex-${userInfo().uid}`) : join(given, "virtflex");
};

export const defaultSocket = (): string => {
  const given = process.env["VIRTFLEX_EMBEDDED"] ?? "";
  return given === "" ? join(runtimeDirectory(), "embedded.sock") : given;
};

/** The topology page of a guest of the embedded host that has this socket. */
export const topologyPage = (socket: string, domain: DomainId): string =>
  join(dirname(socket), `domain-${domain}.topology`);
