import * as Embedded from "../src/embedded/index.ts";
import { xenStoreConformance } from "./conformance/xenStore.ts";

xenStoreConformance("embedded", Embedded.layer(Embedded.laptopConfig([0, 1])), "/conformance");
