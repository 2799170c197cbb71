import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { NodeServices } from "@effect/platform-node";
import { Effect } from "effect";
import fc from "fast-check";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { LaunchError, OmpProgram } from "../src/index.ts";
import * as Elf from "../src/internal/Elf.ts";
import { buildPrograms, buildTimeout } from "./build.ts";

let programs: Awaited<ReturnType<typeof buildPrograms>>;
beforeAll(async () => {
  programs = await buildPrograms();
}, buildTimeout);
afterAll(() => rmSync(programs.directory, { recursive: true }));

const readElf = (path: string) =>
  Effect.runPromise(Elf.read(path).pipe(Effect.flip, Effect.provide(NodeServices.layer)));

describe("an ELF file", () => {
  test("names its loader and its libraries", async () => {
    const elf = await Effect.runPromise(
      Elf.read(programs.at("team")).pipe(Effect.provide(NodeServices.layer)),
    );
    expect(elf.interpreter).toBe("/lib64/ld-linux-x86-64.so.2");
    expect(elf.needed).toEqual(expect.arrayContaining(["libgomp.so.1", "libc.so.6"]));
  });

  test("that is damaged in any place is refused or read, and ends nothing else", async () => {
    const good = readFileSync(programs.at("ends"));
    const path = programs.at("damaged");
    await fc.assert(
      fc.asyncProperty(
        // Where the headers and the dynamic section are pointed at from.
        fc.array(fc.tuple(fc.nat(0x400), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.option(fc.nat(good.length)),
        async (changes, length) => {
          const bytes = Buffer.from(good);
          for (const [at, byte] of changes) bytes[at] = byte;
          writeFileSync(path, bytes.subarray(0, length ?? bytes.length));
          const exit = await Effect.runPromise(
            Effect.result(Elf.read(path)).pipe(Effect.provide(NodeServices.layer)),
          );
          if (exit._tag === "Failure") expect(exit.failure._tag).toBe("ElfRefused");
          else expect(Array.isArray(exit.success.needed)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  test.each([
    ["of another machine", 18, "foreign"],
    ["of 32 bits", 4, "foreign"],
    ["of another byte order", 5, "foreign"],
    ["without its magic", 0, "not-elf"],
    ["of another type", 16, "damaged"],
  ] as const)("%s is told", async (_, at, reason) => {
    const bytes = readFileSync(programs.at("ends"));
    bytes[at] = 1 + (bytes[at] ?? 0);
    if (at === 16) bytes[at] = 4;
    writeFileSync(programs.at("other"), bytes);
    expect(await readElf(programs.at("other"))).toMatchObject({ reason });
  });
});

describe("a program that can't be started is refused with a code:", () => {
  const launch = (program: string, env: Record<string, string> = {}) =>
    Effect.runPromise(
      Effect.flatMap(OmpProgram, (service) => service.launch({ program, env, stdio: "pipe" })).pipe(
        Effect.flip,
        Effect.scoped,
        Effect.provide(OmpProgram.layer),
        Effect.provide(NodeServices.layer),
      ),
    );

  test.each([
    ["missing", "LAUNCH_NOT_FOUND"],
    ["own", "LAUNCH_NOT_EXECUTABLE"],
    ["not-executable", "LAUNCH_NOT_EXECUTABLE"],
    ["script", "LAUNCH_SCRIPT"],
    ["text", "LAUNCH_NOT_ELF"],
    ["empty", "LAUNCH_NOT_ELF"],
    ["set-user-id", "LAUNCH_PRIVILEGED"],
    ["static", "LAUNCH_STATIC"],
    ["serial", "LAUNCH_NO_OPENMP"],
    ["lost", "LAUNCH_UNLOADABLE"],
    ["shadowed", "LAUNCH_SHADOWED"],
  ])("%s", async (name, code) => {
    const error = await launch(programs.at(name));
    expect(error).toBeInstanceOf(LaunchError);
    expect(error.code).toBe(code);
    expect(error.message).toContain(programs.at(name));
  });

  test("one on LLVM's runtime whose environment forbids tools", async () => {
    const error = await launch(programs.at("team-on-libomp"), { OMP_TOOL: "disabled" });
    expect(error.code).toBe("LAUNCH_TOOL_DISABLED");
    expect(error.message).toContain("OMP_TOOL");
  });

  test("a name that PATH has not", async () => {
    expect((await launch("no-such-program")).code).toBe("LAUNCH_NOT_FOUND");
    expect((await launch("")).code).toBe("LAUNCH_NOT_FOUND");
    expect((await launch("text", { PATH: `/nowhere:${programs.directory}` })).code).toBe(
      "LAUNCH_NOT_ELF",
    );
  });

  test("what it says of a script and of a program without OpenMP helps", async () => {
    expect((await launch(programs.at("script"))).message).toContain("/usr/bin/env python3");
    expect((await launch(programs.at("serial"))).message).toContain("-fopenmp");
  });
});
