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

describe("virtflex.ko beside the stock balloon", () => {
  afterAll(destroy("vf-stock"), 300_000);

  it(
    "keeps MemTotal, the nodes' MemTotal and xl list true, whoever has taken the memory",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-stock");
      const before = yield* g.totals;
      const pages = yield* g.pnodePages;
      const releasedMiB = (capacityKiB - lowKiB) / 1024;
      const stockMiB = 8;

      /** `xl mem-set`, until Xen and Linux say so. */
      const memSet = Effect.fnUntraced(function* (mib: number) {
        yield* lab.dom0.check(`xl mem-set vf-stock ${String(mib)}`);
        yield* g.totals.pipe(
          Effect.tap(({ xenMiB }) => (xenMiB === mib ? Effect.void : Effect.sleep("500 millis"))),
          Effect.repeat({ until: ({ xenMiB }) => xenMiB === mib }),
        );
      });
      /** Both count the same memory as missing; the guest's own count is exact, xl's rounded. */
      const expectMissing = Effect.fnUntraced(function* (mib: number) {
        const { xenMiB, memory } = yield* g.totals;
        const linuxMiB = (before.memory.memTotalKiB - memory.memTotalKiB) / 1024;
        expect(Math.abs(linuxMiB - (before.xenMiB - xenMiB))).toBeLessThanOrEqual(1);
        expect(Math.abs(linuxMiB - mib)).toBeLessThanOrEqual(2);
      });

      // Under emulation a hypercall of the stock driver, 512 single pages, takes longer than Linux' watchdogs allow.
      yield* g.guest.check(
        "echo 0 >/proc/sys/kernel/watchdog && echo 1 >/sys/module/rcupdate/parameters/rcu_cpu_stall_suppress",
      );
      const grants = yield* g.start(`map 0 ${yield* offer(lab, g.domain, 128)}`);
      yield* expectMissing(0);
      yield* memSet(before.xenMiB - stockMiB);
      yield* expectMissing(stockMiB);
      expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("done");
      yield* expectMissing(stockMiB + releasedMiB);

      // The stock driver gives its memory back while this module keeps its own, and the other way round.
      yield* memSet(before.xenMiB - releasedMiB);
      yield* expectMissing(releasedMiB);
      yield* memSet(before.xenMiB - releasedMiB - stockMiB);
      yield* lab.dom0.check(`xl mem-max vf-stock ${String(before.xenMiB)}`);
      expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
      yield* expectMissing(stockMiB);
      yield* memSet(before.xenMiB);

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
});
