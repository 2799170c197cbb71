import { DomainId } from "@virtflex/topo-model";
import * as Embedded from "../src/embedded/index.ts";
import { hypervisorConformance } from "./conformance/hypervisor.ts";
import { servedLayer } from "./served.ts";

const config = Embedded.laptopConfig([0, 1, 2, 3]);
const subject = DomainId.make(1);

hypervisorConformance("embedded", Embedded.layer(config), subject);
hypervisorConformance("embedded over a socket", servedLayer(config), subject);
hypervisorConformance(
  "embedded that cannot move",
  Embedded.layer({ ...config, canMoveVnode: false }),
  subject,
);
