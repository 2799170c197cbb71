/** A guest of an embedded host that writes its `numa/status` without end: `flooder SOCKET DOMAIN`. */
import { DomainId, NumaKeys } from "@virtflex/topo-model";
import { EmbeddedGuest } from "@virtflex/xen-control/embedded";
import * as EmbeddedClient from "@virtflex/xen-control/embedded-client";
import { Effect } from "effect";

const inFlight = 16;
const burst = 1200;

const [socket = "", domain] = process.argv.slice(2);

const flood = Effect.gen(function* () {
  const { store } = yield* EmbeddedGuest;
  let written = 0;
  const write = Effect.suspend(() => {
    written += 1;
    return store.write(NumaKeys.path.nodeStatus(written % 4), `${written} online`);
  });
  // What a guest may write at once is behind it.
  yield* Effect.replicateEffect(write, burst, { concurrency: inFlight, discard: true });
  console.log("flooding");
  yield* Effect.replicateEffect(Effect.forever(write), inFlight, {
    concurrency: "unbounded",
    discard: true,
  });
});

await Effect.runPromise(
  Effect.provide(flood, EmbeddedClient.guestLayer(socket, DomainId.make(Number(domain)))),
);
