/**
 * What can go wrong while virtflex.ko serves a request: each ends in a state that contract 1 names, and nothing is lost.
 */
import { afterAll, describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { onLab } from "../../../tools/lab/src/Testing.ts";
import * as Filler from "../../../tools/lab/src/whole/Filler.ts";
import { capacityKiB, destroy, make, minutes, using, vnodes } from "./guest.ts";

/** The same values in every run. */
const garbage = (seeds: ReadonlyArray<string>) => {
  let state = 2463534242;
  const draw = (limit: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
  const alphabet = "0123456789-, \nonlieshrkx\u00ff/%";
  return () => {
    const text = Array.from(seeds[draw(seeds.length)] ?? "");
    for (let n = draw(4); n >= 0; n--) {
      const character = alphabet[draw(alphabet.length)] ?? "";
      text.splice(draw(text.length + 1), draw(3), character.repeat(draw(20) === 0 ? 500 : 1));
    }
    return text.join("");
  };
};

describe("virtflex.ko when things go wrong", () => {
  afterAll(destroy("vf-faults"), 300_000);

  it(
    "a pnode has too little memory: says so and changes nothing, or takes another's where the option says so",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-faults");
      const before = yield* g.totals;
      const pages = yield* g.pnodePages;
      expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("done");
      const shrunk = yield* g.totals;

      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Effect.acquireRelease(
            lab.dom0.check(Filler.fillPnode(3), { timeout: "3 minutes" }),
            () => Effect.ignore(lab.dom0.run(Filler.empty)),
          );
          expect(yield* g.ask("expand", using(...vnodes))).toBe("failed no-memory");
          expect(yield* g.status("why")).toMatch(/^node 3: the host gave \d+ of \d+ KiB$/);
          yield* g.expectUnchanged(shrunk);
          yield* g.option("other_pnode", "Y");
          expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
          yield* g.expectUnchanged(before);
          expect((yield* g.pnodePages)[3]).toBeLessThan((pages[3] ?? 0) - 100 * 256);
          expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("done");
          yield* g.option("other_pnode", "N");
        }),
      );
      expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
      yield* g.expectUnchanged(before);
    }),
    minutes(20),
  );

  it(
    "a leaving node's pages can't be moved: says how many, and leaves it",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-faults");
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
    minutes(20),
  );

  it(
    "the host rewrites the request: serves the newest, and says what is wrong with one that is malformed",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-faults");
      const before = yield* g.totals;
      const overruled = yield* g.begin("shrink", using(0));
      yield* g.reach(overruled, "resizing");
      expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
      yield* g.expectUnchanged(before);

      const served = yield* g.begin("shrink", using(0, 1));
      yield* g.reach(served, "resizing");
      expect(yield* g.ask("sideways", using(0, 1))).toBe("failed bad-request");
      expect(yield* g.status("node 3")).toMatch(/ offline /);
      expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
      yield* g.expectUnchanged(before);
    }),
    minutes(20),
  );

  it(
    "every key holds garbage: each request has its last answer, and the guest lives on",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-faults");
      const before = yield* g.totals;
      const keys: ReadonlyArray<readonly [key: string, good: string | number]> = [
        ["numa/version", 1],
        ["numa/node/3/target", capacityKiB],
        ["numa/node/3/capacity", capacityKiB],
        ["numa/node/3/vcpus", "3"],
        ["numa/node/3/desired", "online"],
        ["cpu/3/availability", "online"],
      ];
      const answers = new Set<string>();
      for (const [key, good] of keys) {
        const next = garbage([String(good), "online", "offline", "0-3,7", "65536", "-1", ""]);
        for (let n = 0; n < 8; n++) {
          yield* g.write({ [key]: next() });
          answers.add(yield* g.ask("resize", {}));
        }
        yield* g.write({ [key]: good });
        expect([key, yield* g.ask("expand", using(...vnodes))]).toEqual([key, "done"]);
      }
      for (const name of ["x", "-1", "64", "03", "3x", "99999999999999999999"]) {
        yield* g.write({ [`numa/node/${name}/target`]: capacityKiB });
        expect([name, yield* g.ask("resize", {})]).toEqual([name, "failed bad-node"]);
        yield* lab.dom0.check(`xenstore-rm ${g.root}/numa/node/${name}`);
      }
      const named = [
        "done",
        ...["bad-node", "unsupported", "busy"].map((code) => `failed ${code}`),
      ];
      expect(named).toEqual(expect.arrayContaining([...answers]));
      expect(answers.size).toBeGreaterThan(2);

      // A request with any id may be among these, after which lower ones are none.
      const next = garbage(["7 shrink 5000", "8 cancel 1", "9 expand 1", "18446744073709551615"]);
      for (let n = 0; n < 24; n++) {
        yield* g.write({ "numa/request": next() });
        yield* g.guest.check("cat /proc/virtflex/status");
      }
      yield* g.guest.check("rmmod virtflex");
      yield* g.write({ "numa/status/state": "", "numa/request": "" });
      yield* g.load;
      expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("done");
      expect(yield* g.ask("expand", using(...vnodes))).toBe("done");
      expect(yield* g.totals).toEqual(before);
      // The stock driver's word on a CPU's availability.
      const complaints = yield* g.complaints;
      expect(complaints.filter((line) => !/cpu_hotplug: unknown state/.test(line))).toEqual([]);
    }),
    minutes(20),
  );

  it(
    "xenstored is updated live, idle and in the middle of a request: nothing is lost",
    onLab(function* (lab) {
      const g = yield* make(lab, "vf-faults");
      const before = yield* g.totals;
      const update = lab.dom0.check("xenstore-control live-update -t 60 /usr/sbin/oxenstored");
      yield* update;
      expect(yield* g.ask("shrink", using(0, 1, 2))).toBe("done");
      const id = yield* g.begin("expand", using(...vnodes));
      yield* update;
      expect(yield* g.answer(id)).toBe("done");
      yield* g.expectUnchanged(before);
    }),
    minutes(20),
  );
});
