import * as Embedded from "../src/embedded/index.ts";
import { xenStoreCases } from "./conformance/xenStore.ts";
import { conforms } from "./conforms.ts";
import { servedLayer } from "./served.ts";

const config = Embedded.laptopConfig([0, 1]);

conforms("embedded", Embedded.layer(config), xenStoreCases("/conformance"));
conforms("embedded over a socket", servedLayer(config), xenStoreCases("/conformance"));
