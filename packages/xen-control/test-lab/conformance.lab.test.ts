/** The live layer on the lab's Xen, by the same code that checks a host reached by ssh. */
import { DomainId } from "@virtflex/topo-model";
import { Effect } from "effect";
import { attach } from "../../../tools/lab/src/Lab.ts";
import { labVariable } from "../../../tools/lab/src/Testing.ts";
import { hypervisorCases } from "../test/conformance/hypervisor.ts";
import { xenStoreCases } from "../test/conformance/xenStore.ts";
import { conformsRemotely, type Remote } from "../test/remote.ts";

const limitMs = 1_200_000;

const dom0 = async (): Promise<Remote> => ({
  run: (command, stdin) =>
    attach(process.env[labVariable] ?? "default").pipe(
      Effect.flatMap((lab) => lab.dom0.run(command, { stdin, timeout: "10 minutes" })),
      Effect.map(({ status, stdout, stderr }) => ({
        status,
        stdout: stdout.toString(),
        stderr: stderr.toString(),
      })),
      Effect.scoped,
      Effect.runPromise,
    ),
});

conformsRemotely(
  dom0,
  [
    { name: "oxenstored", command: "store", cases: xenStoreCases("/") },
    {
      name: "Xen",
      command: "hypervisor /lab/kernel/vmlinux",
      cases: hypervisorCases(DomainId.make(0)),
    },
  ],
  limitMs,
);
