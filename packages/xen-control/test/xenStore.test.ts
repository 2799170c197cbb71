import * as Embedded from "../src/embedded/index.ts";
import { xenStoreConformance } from "./conformance/xenStore.ts";
import { servedLayer } from "./served.ts";

const config = Embedded.laptopConfig([0, 1]);

xenStoreConformance("embedded", Embedded.layer(config), "/conformance");
xenStoreConformance("embedded over a socket", servedLayer(config), "/conformance");
