/**
 * A request that ends early, and a module that is removed, in each state that contract 1 names.
 */
import { afterAll, describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { onLab } from "../../../tools/lab/src/Testing.ts";
import { destroy, lowKiB, make, minutes, using, vnodes } from "./guest.ts";

describe("virtflex.ko in every state", () => {
  afterAll(destroy("vf-states"), 300_000);

  it(
    "is as before after a cancellation and a deadline",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-states");
      const before = yield* g.totals;
      yield* g.start("stubborn");

      const cancelled = Effect.fnUntraced(function* (id: number, state: string) {
        const answer = yield* g.cancelIn(id, state);
        expect([state, answer, yield* g.status("why")]).toEqual([state, "cancelled", "-"]);
      });

      const unseen = yield* g.begin("cancel", using(...vnodes));
      expect(yield* g.answer(unseen)).toBe("cancelled");
      expect(yield* g.ask("shrink", using(0), 1)).toBe("failed deadline");
      yield* g.expectUnchanged(before);

      yield* g.waitForRuntimes(100);
      // Nothing holds a request in `accepted`: this is as soon as a host can know of it.
      yield* cancelled(yield* g.begin("shrink", using(0)), "*");
      yield* cancelled(yield* g.begin("shrink", using(0)), "evacuating");
      expect(yield* g.ask("shrink", using(0), 1500)).toBe("failed deadline");
      yield* g.expectUnchanged(before);

      yield* g.waitForRuntimes(0);
      yield* cancelled(yield* g.begin("shrink", using(0)), "resizing");
      expect(yield* g.ask("shrink", using(0), 200)).toBe("failed deadline");
      yield* g.expectUnchanged(before);

      // The runtime's share of the deadline, and no more.
      yield* g.waitForRuntimes(5);
      expect(yield* g.ask("shrink", using(0, 1, 2), 240_000)).toBe("done");
      expect(yield* g.status("runtimes")).toBe("0/1");
      const shrunk = yield* g.totals;
      yield* g.waitForRuntimes(100);
      yield* cancelled(yield* g.begin("expand", using(...vnodes)), "settling");
      yield* g.expectUnchanged(shrunk);
      const late = yield* g.begin("expand", using(...vnodes), 60_000);
      yield* g.reach(late, "settling");
      expect(yield* g.answer(late)).toBe("failed deadline");
      yield* g.expectUnchanged(shrunk);
      yield* g.waitForRuntimes(0);
      expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
      yield* g.expectUnchanged(before);
    }),
    minutes(20),
  );

  it(
    "puts everything back when it is removed",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-states");
      const before = yield* g.totals;
      const remove = Effect.fnUntraced(function* () {
        yield* g.guest.check("rmmod virtflex");
        yield* g.expectUnchanged(before);
        yield* g.load;
      });

      yield* g.waitForRuntimes(0);
      yield* g.reach(yield* g.begin("shrink", using(0, 1)), "resizing");
      yield* remove();

      for (const state of ["evacuating", "done", "settling"]) {
        const stubborn = yield* g.start("stubborn");
        yield* g.waitForRuntimes(state === "evacuating" ? 100 : 0);
        const id = yield* g.begin("shrink", using(0, 1));
        yield* g.reach(id, state === "evacuating" ? state : "done");
        if (state === "settling") {
          yield* g.waitForRuntimes(100);
          yield* g.reach(yield* g.begin("expand", using(...vnodes)), state);
        }
        yield* remove();
        yield* g.stop(stubborn);
      }
    }),
    minutes(20),
  );

  it(
    "keeps nothing of a node that leaves with nothing to give",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-states");
      const before = yield* g.totals;
      const freeKiB = Effect.map(
        g.guest.check("cat /sys/devices/system/node/node3/meminfo"),
        (text) => Number(/MemFree: +(\d+) kB/.exec(text)?.[1]),
      );
      const small = { ...using(...vnodes), 3: { target: lowKiB, desired: "online" } };
      for (let turn = 0; turn < 2; turn++) {
        expect(yield* g.ask("resize", small)).toBe("done");
        const free = yield* freeKiB;
        expect(free).toBeGreaterThan(4096);
        expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("done");
        expect(yield* freeKiB).toBeGreaterThan(free / 2);
        expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
        yield* g.expectUnchanged(before);
      }
    }),
    minutes(10),
  );

  it(
    "takes vCPUs that the host had taken before it was loaded",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-states");
      const before = yield* g.totals;
      yield* g.guest.check("rmmod virtflex");
      yield* lab.dom0.check("xl vcpu-set vf-states 2");
      yield* g.guest.check(
        "until [ $(cat /sys/devices/system/cpu/online) = 0-1 ]; do sleep 0.1; done",
      );
      yield* g.load;
      yield* lab.dom0.check("xl vcpu-set vf-states 4");
      yield* g.guest.check(
        `until [ $(cat /sys/devices/system/cpu/online) = ${before.cpus} ]; do sleep 0.1; done`,
      );
      yield* g.expectUnchanged(before);
    }),
    minutes(5),
  );
});
