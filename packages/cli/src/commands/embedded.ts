/**
 * `virtflex embedded serve`: a host to try every command on, without a Xen.
 */
import type { PnodeId, Topology } from "@virtflex/topo-model";
import { type EmbeddedConfig, laptopConfig } from "@virtflex/xen-control/embedded";
import { Effect, Option } from "effect";
import { Command, Flag } from "effect/cli";
import { embeddedSocket } from "../Connect.ts";
import { allowedCpus } from "../Machine.ts";
import { topologyPage } from "../Paths.ts";
import { readTopology } from "../Planning.ts";
import { say } from "../Screen.ts";
import { openStation } from "../Station.ts";

/** A topology says what is free beside its guests; an embedded host builds them from what is free. */
const unbuilt = ({ host, guests }: Topology): EmbeddedConfig => {
  const vnodes = guests.flatMap((guest) => guest.vnodes);
  const heldOn = (pnode: PnodeId) =>
    vnodes.reduce((sum, vnode) => sum + (vnode.pnode === pnode ? vnode.actualBytes : 0), 0);
  const pnodes = host.pnodes.map((pnode) => ({
    ...pnode,
    freeBytes: pnode.freeBytes + heldOn(pnode.id),
  }));
  return { host: { ...host, pnodes }, guests };
};

const serve = Command.make(
  "serve",
  {
    topology: Flag.String("topology").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The host and its guests, as JSON; without it, this machine's CPUs"),
      Flag.optional,
    ),
  },
  Effect.fnUntraced(function* ({ topology }) {
    const config = Option.isSome(topology)
      ? unbuilt(yield* readTopology(topology.value))
      : laptopConfig(yield* allowedCpus);
    const socket = yield* embeddedSocket;
    yield* openStation(config, socket);
    for (const { name, domain, vnodes } of config.guests) {
      const page = topologyPage(socket, domain);
      yield* say(`${name} (domain ${domain}), ${vnodes.length} vnodes, topology page ${page}`);
    }
    yield* say(`Serving on ${socket} until interrupted`);
    return yield* Effect.never;
  }, Effect.scoped),
).pipe(
  Command.withDescription("Keep an embedded host running, for the other commands to talk to"),
  Command.withExamples([
    {
      command: "virtflex embedded serve",
      description: "One guest whose vCPUs are this machine's CPUs",
    },
  ]),
);

export const embedded = Command.make("embedded").pipe(
  Command.withDescription("A host without a Xen, for trying things and for tests"),
  Command.withSubcommands([serve]),
);
