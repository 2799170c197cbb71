/**
 * Two guests trade a pnode, as one plan.
 */
import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { onLab } from "../src/Testing.ts";
import * as Filler from "../src/whole/Filler.ts";
import * as Subject from "../src/whole/Subject.ts";

/** The states of a guest's vnodes, by the module in it. */
const states = ({ guest }: Subject.Subject) =>
  Effect.map(guest.check("cat /proc/virtflex/status"), (text) =>
    [...text.matchAll(/^node \d+ vnode \d+ (\S+)/gm)].map(([, state]) => state),
  );

const all = ["online", "online", "online", "online"];
const withoutLast = ["online", "online", "online", "offline"];

describe("two guests", () => {
  it(
    "trade a pnode on which nothing is free: both are done, or neither",
    onLab(function* (lab) {
      const giver = yield* Subject.make(lab, "giver");
      const taker = yield* Subject.make(lab, "taker");
      expect(yield* taker.change("shrink", "3")).toMatchObject({ result: "done" });
      yield* Effect.acquireRelease(lab.dom0.check(Filler.fillPnode(3)), () =>
        Effect.ignore(lab.dom0.run(Filler.empty)),
      );
      const alone = yield* taker.change("expand", "3");
      expect(alone.status).toBe(3);
      expect(yield* states(taker)).toEqual(withoutLast);

      const traded = yield* giver.virtflex(["trade", "giver:3", "taker:3", "--json"]);
      expect(JSON.parse(traded.stdout.toString())).toMatchObject({ result: "done" });
      expect(yield* states(giver)).toEqual(withoutLast);
      expect(yield* states(taker)).toEqual(all);

      yield* lab.dom0.check("xl pause giver");
      const silent = yield* giver.virtflex([
        "trade",
        "taker:3",
        "giver:3",
        "--timeout",
        "60s",
        "--json",
      ]);
      yield* lab.dom0.check("xl unpause giver");
      expect(silent.status).toBe(4);
      expect(yield* states(giver)).toEqual(withoutLast);
      expect(yield* states(taker)).toEqual(all);
    }),
    20 * 60_000,
  );
});
