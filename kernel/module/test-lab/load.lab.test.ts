/**
 * virtflex.ko in a guest whose memory is in use.
 *
 * VIRTFLEX_CYCLES: how often the guest shrinks and expands under load (2).
 */
import { afterAll, describe, expect, it } from "@jest/globals";
import { onLab } from "../../../tools/lab/src/Testing.ts";
import { destroy, make, minutes, using, vnodes } from "./guest.ts";

const cycles = Number(process.env["VIRTFLEX_CYCLES"] ?? 2);

describe("virtflex.ko under load", () => {
  afterAll(destroy("vf-load"), 300_000);

  it(
    "shrinks 4 -> 2 -> 1 and expands back under load, and nothing is lost",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-load");
      const before = yield* g.totals;
      const pages = yield* g.pnodePages;
      const loads = [
        yield* g.start("hog 48"),
        yield* g.start("cache /tmp/cache 16"),
        yield* g.start("forks"),
        yield* g.start("runtime"),
      ];
      for (let cycle = 0; cycle < cycles; cycle++) {
        expect(yield* g.ask("shrink", using(0, 1))).toBe("done");
        expect(yield* g.ask("shrink", using(0))).toBe("done");
        const status = yield* g.guest.check(
          "cat /proc/virtflex/status /sys/devices/system/cpu/online",
        );
        expect(status).toMatch(/^runtimes 1\/1$/m);
        expect(status).toMatch(/\n0\n$/);
        yield* g.expectLeft([0], pages);
        expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
      }
      for (const log of loads) expect(yield* g.stop(log)).toBe("ready\n");
      yield* g.expectUnchanged(before);
      expect(yield* g.pnodePages).toEqual(pages);
    }),
    minutes(20 + 5 * cycles),
  );
});
