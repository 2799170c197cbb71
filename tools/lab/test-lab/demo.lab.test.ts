/**
 * All tiers as one system: dom0's virtflex, the module, the patched hypervisor, the adapting libgomp.
 */
import { describe, expect, it } from "@jest/globals";
import { onLab } from "../src/Testing.ts";
import { demonstrate } from "../src/whole/Demo.ts";
import { textOf } from "../src/whole/DemoText.ts";

describe("the demonstration", () => {
  it(
    "shrinks and expands a guest while CG runs in it",
    onLab(function* (lab) {
      const lines: Array<string> = [];
      const document = yield* demonstrate(lab, {
        say: (line) => lines.push(line),
        draw: () => undefined,
      });
      console.log(`${lines.join("\n")}\n\n${textOf(document)}`);
      expect(document).toMatchObject({
        result: "done",
        verified: true,
        phases: [
          { op: "shrink", vnodesBefore: 4, vnodesAfter: 2, threadsBefore: 4, threadsAfter: 2 },
          { op: "expand", vnodesBefore: 2, vnodesAfter: 4, threadsBefore: 2, threadsAfter: 4 },
        ],
      });
      const [shrink, expand] = document.phases.map(({ timeline }) =>
        timeline.map(({ what }) => what),
      );
      for (const what of [
        "generation published",
        "runtimes acknowledged",
        "last thread bound",
        "vCPUs off",
        "pages left",
        "memory returned",
        "done in the guest",
      ]) {
        expect(shrink).toContain(what);
      }
      for (const phase of document.phases) {
        const at = (name: string) => phase.timeline.find(({ what }) => what === name)?.atMs ?? NaN;
        expect(at("generation published")).toBeLessThan(at("runtimes acknowledged"));
      }
      expect(expand).toEqual(
        expect.arrayContaining(["memory returned", "vCPUs on", "runtimes acknowledged"]),
      );
      const details = document.phases.flatMap(({ timeline }) =>
        timeline.flatMap(({ detail }) => detail ?? []),
      );
      expect(details[0]).toMatch(/^pnode 2 \+\d+ MiB free, pnode 3 \+\d+ MiB free$/);
      expect(details[1]).toMatch(/^pnode 2 −\d+ MiB free, pnode 3 −\d+ MiB free$/);
    }),
    20 * 60_000,
  );
});
