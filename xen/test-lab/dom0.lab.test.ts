/** The programs of `xen/tests` that run in dom0, on domains of their own. */
import { describe, expect, it } from "@jest/globals";
import { onLab } from "../../tools/lab/src/Testing.ts";
import { install } from "../../tools/lab/src/XenTests.ts";

const minutes = (n: number) => n * 60_000;

describe("Xen with the patches", () => {
  for (const program of ["test-superpage-release", "test-rehome", "test-vnuma"]) {
    it(
      `passes ${program}, and complains of nothing`,
      onLab(function* ({ dom0 }) {
        const path = yield* install(dom0, program);
        const { status, stdout } = yield* dom0.run(path, { timeout: "15 minutes" });
        const text = stdout.toString();
        console.log(text.trim().split("\n").at(-1));
        expect([status, text.match(/^FAIL.*/gm)]).toEqual([0, null]);
        const log = yield* dom0.check("xl dmesg");
        expect(log).not.toMatch(/Assertion|Xen BUG|Xen WARN|Xen call trace|FATAL/);
      }),
      minutes(20),
    );
  }
});
