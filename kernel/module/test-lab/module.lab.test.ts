/**
 * virtflex.ko on Debian's stock kernel, in a guest with four vnodes, driven
 * from dom0 through xenstore. What takes longer is in the other files.
 */
import { afterAll, describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { onLab } from "../../../tools/lab/src/Testing.ts";
import { capacityKiB, destroy, lowKiB, make, minutes, using, vnodes } from "./guest.ts";

const releasedMiB = (capacityKiB - lowKiB) / 1024;

describe("virtflex.ko", () => {
  afterAll(destroy("vf-module"), 300_000);

  it(
    "shrinks 4 -> 2 -> 1 and expands back: memory leaves its pnode in superpages, and returns there",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-module");
      const before = yield* g.totals;
      const pagesBefore = yield* g.pnodePages;
      const runtime = yield* g.start("runtime");

      for (const stay of [[0, 1], [0]]) {
        expect(yield* g.ask("shrink", using(...stay))).toBe("done");
        expect(yield* g.status("runtimes")).toBe("1/1");
        yield* g.expectLeft(stay, pagesBefore);
        const { xenMiB, cpus } = yield* g.totals;
        expect(cpus).toBe(stay.length === 1 ? "0" : "0-1");
        const goneMiB = (4 - stay.length) * releasedMiB;
        expect(Math.abs(before.xenMiB - xenMiB - goneMiB)).toBeLessThan(8);
      }

      expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
      expect(yield* g.pnodePages).toEqual(pagesBefore);
      expect(yield* g.stop(runtime)).toBe("ready\n");
      yield* g.expectUnchanged(before);
    }),
    minutes(20),
  );

  // On a Xen without our patches too, where 2 MiB take seconds (docs/kernel-module.md): the watchdogs have nothing to say.
  it(
    "resizes a node that stays",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-module");
      const before = yield* g.totals;
      const pages = yield* g.pnodePages;
      const goneKiB = 16 * 1024;
      const smaller = { target: capacityKiB - goneKiB, desired: "online" };

      expect(yield* g.ask("resize", { ...using(...vnodes), 3: smaller })).toBe("done");
      expect(yield* g.status("node 3")).toMatch(/ online /);
      const gone = (yield* g.pnodePages).map((now, pnode) => ((pages[pnode] ?? 0) - now) * 4);
      expect(gone.slice(0, 3)).toEqual([0, 0, 0]);
      expect(Math.abs((gone[3] ?? 0) - goneKiB)).toBeLessThanOrEqual(2048);

      expect(yield* g.ask("resize", using(...vnodes))).toBe("done");
      expect(yield* g.pnodePages).toEqual(pages);
      yield* g.expectUnchanged(before);
    }),
    minutes(20),
  );

  it(
    "answers garbage, and changes nothing",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-module");
      const before = yield* g.totals;
      const ask = (node: { target: string | number; desired: string }) =>
        g.ask("shrink", { ...using(...vnodes), 3: node });

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
      expect(yield* g.status("runtimes")).toBe("0/0");
      yield* g.expectUnchanged(before);
    }),
    minutes(20),
  );

  it(
    "moves pages off a node no faster than the administrator allows, and says how much has moved",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-module");
      const before = yield* g.totals;
      const mibPerSecond = 16;
      const hogMiB = 160;
      const hog = yield* g.start(`hog ${String(hogMiB)}`, "numactl --preferred=3");
      yield* g.option("drain_mib_s", String(mibPerSecond));
      expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("done");
      const movedMiB = Number(/moved (\d+)/.exec(yield* g.status("node 3"))?.[1]) / 1024;
      // As much as the node keeps may be the program's.
      expect(movedMiB).toBeGreaterThan(hogMiB - lowKiB / 1024 - 16);
      const seconds = Effect.map(g.guest.check("cat /proc/virtflex/status"), (text) => {
        const at = (turn: string) =>
          Number(new RegExp(`^time ${turn} (\\d+)`, "m").exec(text)?.[1]) / 1e9;
        return at("pages-left") - at("vcpus-off");
      });
      expect(yield* seconds).toBeGreaterThan((movedMiB / mibPerSecond) * 0.95);

      yield* g.option("drain_mib_s", "0");
      expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
      expect(yield* g.stop(hog)).toBe("ready\n");
      yield* g.expectUnchanged(before);
    }),
    minutes(20),
  );
});
