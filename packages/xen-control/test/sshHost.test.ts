/**
 * The live layer on a host that is reached by ssh. $VIRTFLEX_XEN_HOST names one,
 * as ssh knows it, where the suites then run as its root; without it the way there
 * is tried on this machine, with Debian's xenstored in the place of a whole Xen.
 *
 * @jest-environment ./test/XenstoredEnvironment.ts
 */
import { afterAll } from "@jest/globals";
import { DomainId } from "@virtflex/topo-model";
import { dirname } from "node:path";
import { hypervisorCases } from "./conformance/hypervisor.ts";
import { xenStoreCases } from "./conformance/xenStore.ts";
import { conformsRemotely, type Remote } from "./remote.ts";
import { type Loopback, sshRemote, startSshd } from "./ssh.ts";

declare const xenstoredSocket: string;

const host = process.env["VIRTFLEX_XEN_HOST"] ?? "";
const limitMs = 120_000;
const storeCases = xenStoreCases("/");

if (host === "") {
  let loopback: Loopback | undefined;
  const here = async (): Promise<Remote> => {
    loopback = await startSshd();
    const path = `${dirname(process.execPath)}:$PATH`;
    return sshRemote(loopback.args, `export XENSTORED_PATH=${xenstoredSocket} PATH=${path}; `);
  };
  afterAll(() => loopback?.stop());
  conformsRemotely(here, [{ name: "by ssh", command: "store", cases: storeCases }], limitMs);
} else {
  const there = async () => sshRemote([host]);
  // Any kernel will do: the guest never runs.
  const kernel = process.env["VIRTFLEX_XEN_KERNEL"] ?? "/boot/vmlinuz-$(uname -r)";
  const cases = hypervisorCases(DomainId.make(0));
  conformsRemotely(
    there,
    [
      { name: `${host}: xenstored`, command: "store", cases: storeCases },
      { name: `${host}: Xen`, command: `hypervisor ${kernel}`, cases },
    ],
    limitMs,
  );
}
