/**
 * Two programs on LLVM's libomp, one built by GCC and one by clang, while dom0's virtflex takes vnodes of their guest and gives them back.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { onLab } from "../src/Testing.ts";
import * as Cg from "../src/whole/Cg.ts";
import { cpusOf } from "../src/whole/Observer.ts";
import { runtimes } from "../src/whole/Runtime.ts";
import * as Subject from "../src/whole/Subject.ts";

const run = promisify(execFile);
const apps = join(import.meta.dirname, "..", "..", "apps");

/** CG, as clang builds it. */
const clangCg = Effect.promise(async () => {
  const build = await mkdtemp(join(tmpdir(), "virtflex-clang-"));
  try {
    const options = ["-DCMAKE_C_COMPILER=clang-14", "-DCMAKE_BUILD_TYPE=Release"];
    await run("cmake", ["-S", apps, "-B", build, ...options]);
    await run("cmake", ["--build", build, "--target", "cg"]);
    return await readFile(join(build, "cg"));
  } finally {
    await rm(build, { recursive: true });
  }
});

/** The CPUs that the program's threads may run on, by the guest's kernel. */
const allowed = ({ guest }: Subject.Subject, pid: number) =>
  Effect.map(
    guest.check(`grep -h Cpus_allowed_list /proc/${String(pid)}/task/*/status | cut -f 2`),
    (lists) => new Set(lists.trim().split("\n").flatMap(cpusOf)),
  );

const answered = ({ guest }: Subject.Subject) =>
  Effect.map(
    guest.check("cat /proc/virtflex/status"),
    (text) => /^runtimes (\S+)$/m.exec(text)?.[1],
  );

describe("programs on LLVM's libomp", () => {
  it(
    "leave the vnodes that go, come back to them, and their results are right",
    onLab(function* (lab) {
      const subject = yield* Subject.make(lab, "libomp");
      yield* subject.guest.push(yield* clangCg, "/run/clang-cg", "755");
      const programs = [
        yield* Cg.start(subject.guest, runtimes.libomp),
        yield* Cg.start(subject.guest, runtimes.libomp, "/run/clang-cg"),
      ];
      const areOn = Effect.fnUntraced(function* (cpus: ReadonlyArray<number>) {
        yield* Effect.all(
          programs.map(({ next }) => next),
          { concurrency: "unbounded" },
        );
        for (const { pid } of programs) expect(yield* allowed(subject, pid)).toEqual(new Set(cpus));
      });
      yield* areOn([0, 1, 2, 3]);

      expect(yield* subject.change("shrink", "2,3")).toMatchObject({ result: "done" });
      expect(yield* answered(subject)).toBe("2/2");
      yield* areOn([0, 1]);

      expect(yield* subject.change("expand", "2,3")).toMatchObject({ result: "done" });
      expect(yield* answered(subject)).toBe("2/2");
      yield* areOn([0, 1, 2, 3]);

      for (const { zetas } of programs) {
        const found = yield* zetas;
        expect(found.length).toBeGreaterThanOrEqual(3);
        expect(found.filter((zeta) => !Cg.isRight(zeta))).toEqual([]);
      }
    }),
    20 * 60_000,
  );
});
