/**
 * A program on LLVM's libomp while dom0's virtflex takes vnodes of its guest and gives them back.
 */
import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { onLab } from "../src/Testing.ts";
import * as Cg from "../src/whole/Cg.ts";
import { cpusOf } from "../src/whole/Observer.ts";
import * as Subject from "../src/whole/Subject.ts";

/** The CPUs that the program's threads may run on, by the guest's kernel. */
const allowed = ({ guest }: Subject.Subject, pid: number) =>
  Effect.map(
    guest.check(`grep -h Cpus_allowed_list /proc/${String(pid)}/task/*/status | cut -f 2`),
    (lists) => new Set(lists.trim().split("\n").flatMap(cpusOf)),
  );

const runtimes = ({ guest }: Subject.Subject) =>
  Effect.map(
    guest.check("cat /proc/virtflex/status"),
    (text) => /^runtimes (\S+)$/m.exec(text)?.[1],
  );

describe("a program on LLVM's libomp", () => {
  it(
    "leaves the vnodes that go, comes back to them, and its results are right",
    onLab(function* (lab) {
      const subject = yield* Subject.make(lab, "libomp");
      const cg = yield* Cg.start(subject.guest, "libomp");
      yield* cg.next;
      expect(yield* allowed(subject, cg.pid)).toEqual(new Set([0, 1, 2, 3]));

      expect(yield* subject.change("shrink", "2,3")).toMatchObject({ result: "done" });
      expect(yield* runtimes(subject)).toBe("1/1");
      yield* cg.next;
      expect(yield* allowed(subject, cg.pid)).toEqual(new Set([0, 1]));

      expect(yield* subject.change("expand", "2,3")).toMatchObject({ result: "done" });
      expect(yield* runtimes(subject)).toBe("1/1");
      yield* cg.next;
      expect(yield* allowed(subject, cg.pid)).toEqual(new Set([0, 1, 2, 3]));

      const zetas = yield* cg.zetas;
      expect(zetas.length).toBeGreaterThanOrEqual(3);
      expect(zetas.filter((zeta) => !Cg.isRight(zeta))).toEqual([]);
    }),
    20 * 60_000,
  );
});
