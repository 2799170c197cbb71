import { DomainId } from "@virtflex/topo-model";
import * as Embedded from "../src/embedded/index.ts";
import { hypervisorCases } from "./conformance/hypervisor.ts";
import { conforms } from "./conforms.ts";
import { servedLayer } from "./served.ts";

const config = Embedded.laptopConfig([0, 1, 2, 3]);
const subject = DomainId.make(1);

conforms("embedded", Embedded.layer(config), hypervisorCases(subject));
conforms("embedded over a socket", servedLayer(config), hypervisorCases(subject));
conforms(
  "embedded that cannot move",
  Embedded.layer({ ...config, canMoveVnode: false }),
  hypervisorCases(subject),
);
