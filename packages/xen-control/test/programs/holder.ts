/** Connects to a served host, holds a watch and a transaction, says so, and waits to be killed. */
import { DomainId } from "@virtflex/topo-model";
import { Effect, Stream } from "effect";
import * as Client from "../../src/embedded/client.ts";
import { EmbeddedGuest } from "../../src/embedded/index.ts";

const program = Effect.gen(function* () {
  const { store } = yield* EmbeddedGuest;
  yield* Effect.forkChild(Stream.runDrain(store.watch("numa")));
  yield* store.transaction((transaction) =>
    transaction
      .write("data/half", "done")
      .pipe(
        Effect.andThen(Effect.sync(() => process.stdout.write("holding\n"))),
        Effect.andThen(Effect.never),
      ),
  );
});

const socket = process.argv[2] ?? "";
void Effect.runPromise(Effect.provide(program, Client.guestLayer(socket, DomainId.make(1))));
