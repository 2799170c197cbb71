import { Effect, Layer } from "effect";
import * as Client from "../src/embedded/client.ts";
import * as Embedded from "../src/embedded/index.ts";
import { serve } from "../src/embedded/server.ts";
import { xenStoreConformance } from "./conformance/xenStore.ts";
import { socketPath } from "./served.ts";

const config = Embedded.laptopConfig([0, 1]);

xenStoreConformance("embedded", Embedded.layer(config), "/conformance");

const served = Layer.unwrap(
  Effect.gen(function* () {
    const socket = yield* socketPath;
    yield* serve(config, socket);
    return Client.layer(socket);
  }),
);

xenStoreConformance("embedded over a socket", served, "/conformance");
