/**
 * `virtflex agent`: the guest side of a guest of an embedded host, as a process
 * of its own. `virtflex embedded serve` starts it; nobody else has to.
 */
import {
  Agent,
  Balloon,
  GuestStore,
  PagePublisher,
  RuntimeRegistry,
  Vcpus,
} from "@virtflex/guest-notify";
import { Distances, DomainId } from "@virtflex/topo-model";
import { EmbeddedGuest } from "@virtflex/xen-control/embedded";
import * as EmbeddedClient from "@virtflex/xen-control/embedded-client";
import { Effect, Layer, Schema } from "effect";
import { Command, Flag } from "effect/cli";
import { embeddedSocket } from "../Connect.ts";

/** The agent's ports, over what an embedded host offers the kernel of a guest. */
const portsLayer = Layer.unwrap(
  Effect.map(EmbeddedGuest, ({ store, heldBytes, populate, decrease }) => {
    const bytesOf = Effect.map(({ bytes }: { readonly bytes: number }) => bytes);
    const balloon = Balloon.of({
      actual: heldBytes,
      balloonIn: (vnode, bytes) => bytesOf(populate(vnode, bytes)),
      balloonOut: (vnode, bytes) => bytesOf(decrease(vnode, bytes)),
    });
    return Layer.merge(
      Layer.succeed(Balloon, balloon),
      Layer.provideMerge(Vcpus.layerStore, Layer.succeed(GuestStore, GuestStore.of(store))),
    );
  }),
);

export const agent = Command.make(
  "agent",
  {
    domain: Flag.Int("domain").pipe(Flag.withSchema(DomainId)),
    page: Flag.String("page").pipe(Flag.withDescription("The topology page to publish")),
    distances: Flag.String("distances").pipe(
      Flag.withDescription("The guest's SLIT as JSON"),
      Flag.withSchema(Schema.fromJsonString(Distances)),
    ),
  },
  Effect.fnUntraced(function* ({ domain, page, distances }) {
    const socket = yield* embeddedSocket;
    const pageLayer = Layer.provideMerge(RuntimeRegistry.layer(page), PagePublisher.layer(page));
    const guestLayer = Layer.provide(portsLayer, EmbeddedClient.guestLayer(socket, domain));
    yield* Agent.run({ distances }).pipe(Effect.provide(Layer.merge(pageLayer, guestLayer)));
  }),
).pipe(
  Command.withDescription("The guest side of an embedded guest; started by embedded serve"),
  Command.unlisted,
);
