/**
 * virtflex.ko on Debian's stock kernel, in a guest with four vnodes, driven
 * from dom0 through xenstore.
 *
 * VIRTFLEX_CYCLES: how often the guest shrinks and expands under load (2).
 */
import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { onLab } from "../../../tools/lab/src/Testing.ts";
import { capacityKiB, lowKiB, make, using } from "./guest.ts";

const cycles = Number(process.env["VIRTFLEX_CYCLES"] ?? 2);
const minutes = (n: number) => n * 60_000;
const supersOf = (status: string) => Number(/supers (\d+)/.exec(status)?.[1]);

describe("virtflex.ko", () => {
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
          expect(supersOf(node)).toBeGreaterThan(((capacityKiB - lowKiB) / 2048) * 0.8);
        }
        expect(yield* g.ask("expand", using(0, 1, 2, 3))).toBe("done");
      }
      for (const log of loads) expect(yield* g.stop(log)).toBe("ready\n");
      yield* g.expectUnchanged(before);
    }),
    minutes(6 + 3 * cycles),
  );

  it(
    "takes a node's memory from its pnode, and gives it back there",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-pnodes");
      const free = Effect.map(lab.dom0.check("xl info -n"), (text) =>
        [...text.matchAll(/^ +\d+: +\d+ +(\d+) +[\d,]+$/gm)].map((row) => Number(row[1])),
      );
      const before = yield* free;
      expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("done");
      const moved = (yield* free).map((mib, pnode) => mib - (before[pnode] ?? 0));
      const released = (capacityKiB - lowKiB) / 1024;
      expect(moved.map((mib) => Math.abs(mib) < 8)).toEqual([true, true, true, false]);
      expect(Math.abs((moved[3] ?? 0) - released)).toBeLessThan(8);
      expect(yield* g.ask("expand", using(0, 1, 2, 3))).toBe("done");
      const after = (yield* free).map((mib, pnode) => Math.abs(mib - (before[pnode] ?? 0)) < 8);
      expect(after).toEqual([true, true, true, true]);
    }),
    minutes(6),
  );

  it(
    "answers garbage, and changes nothing",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-garbage");
      const before = yield* g.totals;
      const ask = (node: { target: string | number; desired: string }) =>
        g.ask("shrink", { ...using(0, 1, 2, 3), 3: node }, 20_000);

      expect(yield* ask({ target: "12x", desired: "offline" })).toBe("failed bad-node");
      expect(yield* ask({ target: "", desired: "offline" })).toBe("failed bad-node");
      expect(yield* ask({ target: 1 << 30, desired: "offline" })).toBe("failed bad-node");
      expect(yield* ask({ target: lowKiB, desired: "sideways" })).toBe("failed bad-node");
      expect(yield* g.ask("grow", using(0))).toBe("failed bad-request");
      expect(yield* g.ask("shrink", using(1, 2, 3))).toBe("failed home-node");

      const key = (name: string) => `numa/node/3/${name}`;
      for (const [name, bad, good, code] of [
        [key("vcpus"), "0", "3", "bad-node"],
        [key("vcpus"), "3,", "3", "bad-node"],
        [key("capacity"), "-1", capacityKiB, "bad-node"],
        ["numa/version", "2", "1", "unsupported"],
        ["numa/version", "", "1", "unsupported"],
      ] as const) {
        yield* g.write({ [name]: bad });
        expect([name, yield* g.ask("shrink", using(0, 1))]).toEqual([name, `failed ${code}`]);
        yield* g.write({ [name]: good });
      }
      yield* g.expectUnchanged(before);

      const abuse = yield* g.guest.run("/root/load abuse");
      expect([abuse.status, abuse.stdout.toString()]).toEqual([0, ""]);
      yield* g.expectUnchanged(before);
    }),
    minutes(8),
  );

  it(
    "is as before after a cancellation, a deadline and another request",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-stops");
      const before = yield* g.totals;
      for (const wait of ["100 millis", "1 second", "4 seconds"] as const) {
        const id = yield* g.begin("shrink", using(0));
        yield* Effect.sleep(wait);
        yield* g.write({ "numa/request": `${String(id)} cancel 60000` });
        const answer = yield* g.answer(id);
        expect(["cancelled", "done"]).toContain(answer);
        if (answer === "done") expect(yield* g.ask("expand", using(0, 1, 2, 3))).toBe("done");
        yield* g.expectUnchanged(before);
      }

      expect(yield* g.ask("shrink", using(0), 1)).toBe("failed deadline");
      yield* g.expectUnchanged(before);

      // A runtime that never answers costs its share of the deadline, no more.
      const stubborn = yield* g.start("stubborn");
      expect(yield* g.ask("shrink", using(0, 1, 2), 40_000)).toBe("done");
      expect(yield* g.status("runtimes")).toBe("0/1");
      yield* g.stop(stubborn);

      yield* g.begin("shrink", using(0));
      yield* Effect.sleep("1 second");
      expect(yield* g.ask("expand", using(0, 1, 2, 3))).toBe("done");
      yield* g.expectUnchanged(before);
    }),
    minutes(10),
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
    "puts everything back when it is removed, whatever it was doing",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-unload");
      const before = yield* g.totals;
      for (const wait of ["500 millis", "3 seconds", "10 seconds"] as const) {
        yield* g.begin("shrink", using(0, 1));
        yield* Effect.sleep(wait);
        yield* g.guest.check("rmmod virtflex");
        yield* g.expectUnchanged(before);
        yield* g.load;
      }
      yield* g.guest.check("rmmod virtflex");
    }),
    minutes(8),
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
