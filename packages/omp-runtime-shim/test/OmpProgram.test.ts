import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { NodeServices } from "@effect/platform-node";
import { Effect, type Scope, Stream } from "effect";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  Acknowledgements,
  type LaunchOptions,
  OmpProgram,
  type RunningProgram,
  threadsOf,
  watchProcess,
} from "../src/index.ts";
import { buildPrograms, buildTimeout } from "./build.ts";
import { halfCpus, native, ownCpus, pageOf } from "./page.ts";

let programs: Awaited<ReturnType<typeof buildPrograms>>;
beforeAll(async () => {
  programs = await buildPrograms();
}, buildTimeout);
afterAll(() => rmSync(programs.directory, { recursive: true }));

type Platform = OmpProgram | NodeServices.NodeServices | Scope.Scope;
const run = <A, E>(test: Effect.Effect<A, E, Platform>) =>
  Effect.runPromise(
    test.pipe(Effect.scoped, Effect.provide(OmpProgram.layer), Effect.provide(NodeServices.layer)),
  );
const launch = (options: Omit<LaunchOptions, "stdio">) =>
  Effect.flatMap(OmpProgram, (service) => service.launch({ ...options, stdio: "pipe" }));
const lines = ({ stdout }: RunningProgram) => stdout.pipe(Stream.decodeText(), Stream.splitLines);

/** Whether the process runs: a zombie doesn't. */
const lives = (pid: number) =>
  existsSync(`/proc/${pid}/stat`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
const eventuallyGone = async (pid: number) => {
  for (let i = 0; i < 200 && lives(pid); i++) await new Promise((wake) => setTimeout(wake, 25));
  return !lives(pid);
};

describe("a program that is launched", () => {
  test("runs on the adapting libgomp", () =>
    run(
      Effect.gen(function* () {
        const program = yield* launch({ program: programs.at("team"), args: ["1000"] });
        yield* Stream.runHead(lines(program));
        const maps = readFileSync(`/proc/${program.pid}/maps`, "utf8");
        expect(/\S*libgomp\.so\S*/.exec(maps)?.[0]).toContain(program.runtime);
      }),
    ));

  test("keeps the OMPT tools that were asked for beside the adapting one", () =>
    run(
      Effect.gen(function* () {
        const env = { OMP_TOOL_LIBRARIES: "/other.so" };
        const program = yield* launch({ program: programs.at("team-on-libomp"), env });
        yield* Stream.runHead(lines(program));
        const environment = readFileSync(`/proc/${program.pid}/environ`, "utf8").split("\0");
        expect(environment).toContain(`OMP_TOOL_LIBRARIES=${program.runtime}`);
        expect(environment).toContain("VIRTFLEX_TOOL_LIBRARIES=/other.so");
      }),
    ));

  test("keeps its environment, its libraries and its way to end", () =>
    run(
      Effect.gen(function* () {
        const env = { GIVEN: "yes", LD_LIBRARY_PATH: "/somewhere" };
        const told = yield* launch({ program: programs.at("ends"), args: ["env"], env });
        expect(yield* Stream.runCollect(lines(told))).toEqual([
          `${told.runtime}:/somewhere`,
          "yes",
        ]);
        expect(yield* told.exit).toEqual({ _tag: "exited", code: 0 });

        const seven = yield* launch({ program: programs.at("ends"), args: ["7"] });
        expect(yield* seven.exit).toEqual({ _tag: "exited", code: 7 });
        const aborted = yield* launch({ program: programs.at("ends"), args: ["abort"] });
        expect(yield* aborted.exit).toEqual({ _tag: "signalled", signal: "SIGABRT" });
      }),
    ));

  test("is found on PATH, and may use OpenMP through a library", () =>
    run(
      Effect.gen(function* () {
        const env = { PATH: `/nowhere:${programs.directory}:${process.env["PATH"] ?? ""}` };
        const program = yield* launch({ program: "through-library", env });
        expect(yield* program.exit).toEqual({ _tag: "exited", code: 0 });
      }),
    ));

  test.each(["loads", "loading-script"])("may load its runtime itself, told which: %s", (name) =>
    run(
      Effect.gen(function* () {
        const page = programs.at(`topology-of-${name}`);
        const publisher = yield* Effect.acquireRelease(
          Effect.sync(() => new native.Publisher(page)),
          (open) => Effect.sync(() => open.close()),
        );
        publisher.publish(pageOf(false), 1n);
        const args = [programs.at("libuser.so"), programs.at("libwheel.so")];
        const env = { OMP_NUM_THREADS: undefined };
        const told = { program: programs.at(name), args, page, env };
        const program = yield* launch({ ...told, runtime: "libgomp" });
        const threads = String(halfCpus.length);
        expect(yield* Stream.runCollect(lines(program))).toEqual([threads, threads]);

        const tool = yield* launch({ ...told, runtime: "libomp" });
        const all = String(ownCpus.length);
        expect(yield* Stream.runCollect(lines(tool))).toEqual([all, all]);
      }),
    ),
  );

  test("is refused where no runtime could be brought to it", () =>
    run(
      Effect.gen(function* () {
        for (const [name, code] of [
          ["static", "LAUNCH_STATIC"],
          ["text", "LAUNCH_NOT_ELF"],
        ] as const) {
          const program = programs.at(name);
          expect((yield* Effect.flip(launch({ program, runtime: "libgomp" }))).code).toBe(code);
        }
      }),
    ));

  test("is not launched for a page that is not there", () =>
    run(
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          launch({ program: programs.at("team"), page: programs.at("nowhere") }),
        );
        expect(error.code).toBe("LAUNCH_NO_PAGE");
      }),
    ));

  test("ends with its scope, and so does its process group, heeding SIGTERM or not", async () => {
    const pids = await run(
      Effect.gen(function* () {
        const program = yield* launch({ program: programs.at("ends"), args: ["stay"] });
        const [parent, child] = yield* Stream.runCollect(Stream.take(lines(program), 2));
        expect([parent, child]).toContain("0");
        return [program.pid, Math.max(Number(parent), Number(child))];
      }),
    );
    expect(pids).toHaveLength(2);
    for (const pid of pids) expect(await eventuallyGone(pid)).toBe(true);
  });

  test("ends when its launcher is killed", async () => {
    const launcher = spawn(
      process.execPath,
      [
        "--disable-warning=ExperimentalWarning",
        "--conditions=@virtflex/source",
        fileURLToPath(new URL("./launcher.ts", import.meta.url)),
        programs.at("team"),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const pid = await new Promise<number>((resolve) => {
      launcher.stdout.once("data", (text: Buffer) => resolve(Number(text.toString())));
    });
    const lived = lives(pid);
    launcher.kill("SIGKILL");
    expect(lived).toBe(true);
    expect(await eventuallyGone(pid)).toBe(true);
  });
});

test.each(["team", "team-on-libomp"])(
  "%s follows its page, and the watch tells how",
  (name) =>
    run(
      Effect.gen(function* () {
        const page = programs.at(`topology-of-${name}`);
        const publisher = yield* Effect.acquireRelease(
          Effect.sync(() => new native.Publisher(page)),
          (open) => Effect.sync(() => open.close()),
        );
        publisher.publish(pageOf(true), 1n);
        const env = { OMP_NUM_THREADS: undefined, OMP_PROC_BIND: "close" };
        const program = yield* launch({ program: programs.at(name), page, env });
        const used = Effect.map(threadsOf(program.pid), (threads) =>
          [...new Set(threads.flatMap(({ allowedCpus }) => allowedCpus))].sort((a, b) => a - b),
        );
        // One reader of its output for the whole test.
        const seen: Array<string> = [];
        yield* Effect.forkScoped(
          Stream.runForEach(lines(program), (line) => Effect.sync(() => seen.push(line))),
        );
        const until = (line: string) =>
          Effect.gen(function* () {
            for (let i = 0; i < 400 && seen.at(-1) !== line; i++) yield* Effect.sleep("20 millis");
            expect(seen.at(-1)).toBe(line);
          });

        yield* until(`threads=${ownCpus.length}`);
        expect(yield* used).toEqual(ownCpus);

        publisher.publish(pageOf(false), 2n);
        yield* until(`threads=${halfCpus.length}`);
        const acknowledged = native.scanRuntimes(`${page}.d`);
        expect(acknowledged.runtimes).toEqual([{ pid: program.pid, generation: 2n }]);
        const first = (yield* threadsOf(program.pid)).find(({ tid }) => tid === program.pid);
        expect(halfCpus).toEqual(expect.arrayContaining([...(first?.allowedCpus ?? [-1])]));

        publisher.publish(pageOf(true), 3n);
        yield* until(`threads=${ownCpus.length}`);
        expect(yield* used).toEqual(ownCpus);

        const runtimes = [{ pid: program.pid, generation: 3n, adaptedMs: 1.5 }];
        const report = yield* Stream.runHead(watchProcess(program.pid)).pipe(
          Effect.provideService(
            Acknowledgements,
            Acknowledgements.of({ changes: Stream.make({ runtimes }) }),
          ),
        );
        expect(report).toMatchObject({
          value: { pid: program.pid, generation: 3n, adaptedMs: 1.5 },
        });
      }),
    ),
  60_000,
);
