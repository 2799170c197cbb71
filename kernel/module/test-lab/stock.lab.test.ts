/**
 * virtflex.ko beside Linux' own balloon driver: each has pages of its own, and every total stays true.
 */
import { afterAll, describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import type * as Lab from "../../../tools/lab/src/Lab.ts";
import { onLab } from "../../../tools/lab/src/Testing.ts";
import { builtLoad, capacityKiB, destroy, lowKiB, make, minutes, using, vnodes } from "./guest.ts";

/** Pages of dom0 that a guest may map: their references. They are dom0's until the test ends. */
const offer = Effect.fn("offer")(function* (lab: Lab.Lab, domain: string, pages: number) {
  yield* lab.dom0.push(yield* builtLoad, "/tmp/load", "755");
  const text = yield* Effect.acquireRelease(
    lab.dom0.check(
      `setsid /tmp/load offer ${domain} ${String(pages)} >/tmp/offer 2>&1 </dev/null & echo $! >/tmp/offer.pid; ` +
        "for i in $(seq 600); do grep -q ready /tmp/offer && break; sleep 0.2; done; cat /tmp/offer",
    ),
    () => Effect.ignore(lab.dom0.run("kill $(cat /tmp/offer.pid)")),
  );
  const [references = "", last = ""] = text.split("\n");
  expect([references.split(" ").length, last]).toEqual([pages, "ready"]);
  return references;
});

/** `xl mem-set`, until Xen and Linux say so. */
const memSet = Effect.fnUntraced(function* (
  lab: Lab.Lab,
  g: Effect.Success<ReturnType<typeof make>>,
  mib: number,
) {
  yield* lab.dom0.check(`xl mem-set vf-stock ${String(mib)}`);
  yield* g.totals.pipe(
    Effect.tap(({ xenMiB }) => (xenMiB === mib ? Effect.void : Effect.sleep("500 millis"))),
    Effect.repeat({ until: ({ xenMiB }) => xenMiB === mib }),
  );
});

const stockMiB = 4;

// Under emulation a hypercall of the stock driver, 512 single pages, takes longer than Linux' watchdogs allow.
const withoutWatchdogs =
  "echo 0 >/proc/sys/kernel/watchdog && echo 1 >/sys/module/rcupdate/parameters/rcu_cpu_stall_suppress";

describe("virtflex.ko beside the stock balloon", () => {
  afterAll(destroy("vf-stock"), 300_000);

  it(
    "keeps MemTotal, the nodes' MemTotal and xl list true, whoever has taken the memory",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-stock");
      const before = yield* g.totals;
      const pages = yield* g.pnodePages;
      const releasedMiB = (capacityKiB - lowKiB) / 1024;
      /** Both count the same memory as missing; the guest's own count is exact, xl's rounded. */
      const expectMissing = Effect.fnUntraced(function* (mib: number) {
        const { xenMiB, memory } = yield* g.totals;
        const linuxMiB = (before.memory.memTotalKiB - memory.memTotalKiB) / 1024;
        expect(Math.abs(linuxMiB - (before.xenMiB - xenMiB))).toBeLessThanOrEqual(1);
        expect(Math.abs(linuxMiB - mib)).toBeLessThanOrEqual(2);
      });

      yield* g.guest.check(withoutWatchdogs);
      const grants = yield* g.start(`map 0 ${yield* offer(lab, g.domain, 128)}`);
      yield* expectMissing(0);
      yield* memSet(lab, g, before.xenMiB - stockMiB);
      yield* expectMissing(stockMiB);
      expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("done");
      yield* expectMissing(stockMiB + releasedMiB);

      // The stock driver gives its memory back while this module keeps its own, and the other way round.
      yield* memSet(lab, g, before.xenMiB - releasedMiB);
      yield* expectMissing(releasedMiB);
      yield* memSet(lab, g, before.xenMiB - releasedMiB - stockMiB);
      yield* lab.dom0.check(`xl mem-max vf-stock ${String(before.xenMiB)}`);
      expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
      yield* expectMissing(stockMiB);
      yield* memSet(lab, g, before.xenMiB);

      expect(yield* g.stop(grants)).toBe("ready\n");
      yield* g.expectUnchanged(before);
      // The stock driver's own pages come from any pnode.
      const sum = (values: ReadonlyArray<number>) =>
        values.reduce((total, value) => total + value, 0);
      const pagesNow = yield* g.pnodePages;
      expect(sum(pagesNow)).toBe(sum(pages));
      for (const [pnode, now] of pagesNow.entries()) {
        expect(Math.abs(now - (pages[pnode] ?? 0))).toBeLessThanOrEqual(2 * stockMiB * 256);
      }
    }),
    minutes(20),
  );

  it(
    "knows memory that the stock driver has got back since it was loaded",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-stock");
      const before = yield* g.totals;
      yield* g.guest.check(withoutWatchdogs);
      expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("done");
      const small = yield* g.totals;

      // Xen has none for the module that goes, which leaves it to the stock driver.
      yield* memSet(lab, g, small.xenMiB);
      yield* g.guest.check("rmmod virtflex");
      yield* g.load;
      yield* lab.dom0.check(`xl mem-max vf-stock ${String(before.xenMiB)}`);
      expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
      yield* memSet(lab, g, before.xenMiB);

      expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("done");
      expect(Math.abs((yield* g.totals).xenMiB - small.xenMiB)).toBeLessThanOrEqual(2);
      expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
      expect(yield* g.totals).toEqual(before);
    }),
    minutes(20),
  );

  it(
    "a change by virtflex: memory/target and the stock driver's own say what the domain has",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-stock");
      const before = yield* g.totals;
      yield* g.guest.check(withoutWatchdogs);
      yield* memSet(lab, g, before.xenMiB - stockMiB);

      /** KiB: the host's word; what the stock driver makes of it; what it counts. */
      const stock = "/sys/devices/system/xen_memory/xen_memory0";
      const seen = Effect.gen(function* () {
        const text = yield* g.guest.check(`cat ${stock}/target_kb ${stock}/info/current_kb`);
        const [wantedKiB = Number.NaN, currentKiB = Number.NaN] = text.split("\n").map(Number);
        const wordKiB = Number(yield* lab.dom0.check(`xenstore-read ${g.root}/memory/target`));
        return { wordKiB, wantedKiB, currentKiB };
      });
      /** That the stock driver, which the host's word wakes, has what it is told, and Xen counts as much. */
      const expectSettled = Effect.fnUntraced(function* (grownKiB: number) {
        const { wordKiB, wantedKiB } = yield* seen.pipe(
          Effect.repeat({ until: ({ wantedKiB, currentKiB }) => wantedKiB === currentKiB }),
        );
        expect(wordKiB - start.wordKiB).toBe(grownKiB);
        expect(wantedKiB - start.wantedKiB).toBe(grownKiB);
        const missingMiB = before.xenMiB - (yield* g.totals).xenMiB;
        expect(Math.abs(missingMiB - stockMiB + grownKiB / 1024)).toBeLessThanOrEqual(1);
      });
      const change = (verb: string) =>
        lab.dom0.check(`virtflex ${verb} vf-stock --vnodes 3 --timeout 10m`, {
          timeout: "15 minutes",
        });

      const start = yield* seen;
      yield* change("shrink");
      const leftKiB = Number(yield* lab.dom0.check(`xenstore-read ${g.root}/numa/node/3/target`));
      expect(leftKiB).toBeLessThan(capacityKiB / 2);
      yield* expectSettled(leftKiB - capacityKiB);
      yield* change("expand");
      yield* expectSettled(0);

      yield* memSet(lab, g, before.xenMiB);
      yield* g.expectUnchanged(before);
    }),
    minutes(20),
  );
});
