import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import * as Lab from "../src/Lab.ts";
import { BootFailed, InvalidOption } from "../src/LabError.ts";

const lost = new BootFailed({ what: "guest1", log: "", tail: "", message: "domain 1 has gone" });

/** A lab whose guest meets these ends, one after the other, and then boots. */
const labOf = (...ends: ReadonlyArray<BootFailed | InvalidOption>) => {
  let starts = 0;
  const lab = {
    createGuest: () =>
      Effect.suspend(() => {
        const end = ends[starts++];
        return end === undefined ? Effect.succeed(Lab.defaultGuest) : Effect.fail(end);
      }),
  } as unknown as Lab.Lab;
  const said: Array<string> = [];
  const report = (line: string) => Effect.sync(() => void said.push(line));
  return { start: Lab.startGuest(lab, report), said, starts: () => starts };
};

describe("the standard guest", () => {
  it("that boots is not retried", async () => {
    const { start, said } = labOf();
    expect(await Effect.runPromise(start)).toBe(0);
    expect(said).toEqual(["booting guest guest1"]);
  });

  it("that is lost is started again, counted, and each time reported with the reason", async () => {
    const { start, said } = labOf(lost, lost);
    expect(await Effect.runPromise(start)).toBe(2);
    expect(said).toEqual([
      "booting guest guest1",
      "guest retry 1: domain 1 has gone",
      "guest retry 2: domain 1 has gone",
    ]);
  });

  it("that is lost again and again is an error in the end", async () => {
    const { start, starts } = labOf(lost, lost, lost, lost);
    expect(await Effect.runPromise(Effect.flip(start))).toBe(lost);
    expect(starts()).toBe(3);
  });

  it("that can't be is not retried", async () => {
    const { start, starts } = labOf(new InvalidOption({ option: "CONFIG", message: "no" }));
    expect((await Effect.runPromise(Effect.flip(start)))._tag).toBe("InvalidOption");
    expect(starts()).toBe(1);
  });
});
