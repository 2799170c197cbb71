/**
 * virtflex.ko in a guest whose memory is in use, and beside others who want the same memory. Takes long.
 *
 * VIRTFLEX_CYCLES: how often the guest shrinks and expands under load (2).
 */
import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { onLab } from "../../../tools/lab/src/Testing.ts";
import { capacityKiB, lowKiB, make, superpages, using } from "./guest.ts";

const cycles = Number(process.env["VIRTFLEX_CYCLES"] ?? 2);
const minutes = (n: number) => n * 60_000;

describe("virtflex.ko under load", () => {
  it(
    "shrinks 4 -> 2 -> 1 and expands back under load, and nothing is lost",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-load");
      const before = yield* g.totals;
      const loads = [
        yield* g.start("hog 48"),
        yield* g.start("cache /tmp/cache 16"),
        yield* g.start("forks"),
        yield* g.start("runtime"),
      ];
      for (let cycle = 0; cycle < cycles; cycle++) {
        expect(yield* g.ask("shrink", using(0, 1))).toBe("done");
        expect(yield* g.status("runtimes")).toBe("1/1");
        expect(yield* g.ask("shrink", using(0))).toBe("done");
        const { xenMiB, cpus } = yield* g.totals;
        expect(cpus).toBe("0");
        const expected = before.xenMiB - (3 * (capacityKiB - lowKiB)) / 1024;
        expect(Math.abs(xenMiB - expected)).toBeLessThanOrEqual(6);
        for (const v of [1, 2, 3]) {
          const node = yield* g.status(`node ${String(v)}`);
          expect(node).toMatch(/ offline /);
          // All but what is less than a superpage goes in superpages, or nearly.
          expect(superpages(node)).toBeGreaterThan(((capacityKiB - lowKiB) / 2048) * 0.8);
        }
        expect(yield* g.ask("expand", using(0, 1, 2, 3))).toBe("done");
      }
      for (const log of loads) expect(yield* g.stop(log)).toBe("ready\n");
      yield* g.expectUnchanged(before);
    }),
    minutes(6 + 3 * cycles),
  );

  it(
    "says what can't go, and leaves it",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-unmovable");
      const before = yield* g.totals;
      const pipes = yield* g.guest.check(
        "numactl --membind=3 --cpunodebind=3 setsid /root/load pipes 120 >/tmp/pipes 2>&1 </dev/null & " +
          "for i in $(seq 300); do grep -q ready /tmp/pipes && break; sleep 0.2; done; pidof load",
      );
      expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("failed busy");
      expect(Number(/unmovable (\d+)/.exec(yield* g.status("node 3"))?.[1])).toBeGreaterThan(
        100 * 1024,
      );
      yield* g.expectUnchanged(before);
      yield* g.guest.check(`kill ${pipes.trim()}`);
    }),
    minutes(6),
  );

  it(
    "serves the newest request, and says what is wrong with one that is malformed",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-newest");
      const before = yield* g.totals;
      const overruled = yield* g.begin("shrink", using(0));
      yield* g.reach(overruled, "resizing");
      expect(yield* g.ask("expand", using(0, 1, 2, 3))).toBe("done");
      yield* g.expectUnchanged(before);

      const served = yield* g.begin("shrink", using(0, 1));
      yield* g.reach(served, "resizing");
      expect(yield* g.ask("sideways", using(0, 1))).toBe("failed bad-request");
      expect(yield* g.status("node 3")).toMatch(/ offline /);
      expect(yield* g.ask("expand", using(0, 1, 2, 3))).toBe("done");
      yield* g.expectUnchanged(before);
    }),
    minutes(6),
  );

  it(
    "waits for a runtime that never answers no longer than it should",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-stubborn");
      const before = yield* g.totals;
      yield* g.start("stubborn");
      expect(yield* g.ask("shrink", using(0, 1, 2), 40_000)).toBe("done");
      expect(yield* g.status("runtimes")).toBe("0/1");
      const shrunk = yield* g.totals;
      yield* g.waitForRuntimes(100);
      const id = yield* g.begin("expand", using(0, 1, 2, 3), 30_000);
      yield* g.reach(id, "settling");
      expect(yield* g.answer(id)).toBe("failed deadline");
      yield* g.expectUnchanged(shrunk);
      yield* g.waitForRuntimes(0);
      expect(yield* g.ask("expand", using(0, 1, 2, 3))).toBe("done");
      yield* g.expectUnchanged(before);
    }),
    minutes(6),
  );

  it(
    "lives beside the stock balloon",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-stock");
      const before = yield* g.totals;
      const memory = (mib: number) =>
        Effect.repeat(
          Effect.tap(g.totals, ({ xenMiB }) =>
            xenMiB === mib ? Effect.void : Effect.sleep("500 millis"),
          ),
          { until: ({ xenMiB }) => xenMiB === mib },
        );
      yield* lab.dom0.check(`xl mem-set vf-stock ${String(before.xenMiB - 1)}`);
      yield* memory(before.xenMiB - 1);
      expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("done");
      expect(yield* g.ask("expand", using(0, 1, 2, 3))).toBe("done");
      yield* lab.dom0.check(`xl mem-set vf-stock ${String(before.xenMiB)}`);
      yield* memory(before.xenMiB);
      yield* g.expectUnchanged(before);
    }),
    minutes(6),
  );
});
