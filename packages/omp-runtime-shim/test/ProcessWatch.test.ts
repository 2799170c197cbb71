import { expect, test } from "@jest/globals";
import { NodeServices } from "@effect/platform-node";
import { Effect, Stream } from "effect";
import { spawn } from "node:child_process";
import { Acknowledgements, threadsOf, watchProcess } from "../src/index.ts";
import { parseKernelCpuList, parseStat } from "../src/ProcessWatch.ts";

test("a thread's name may look like fields", () => {
  const fields = Array.from({ length: 50 }, (_, i) => String(i + 4));
  expect(parseStat(`7 (a) S 1 (b) R ${fields.join(" ")}\n`)).toEqual({
    state: "R",
    startTicks: 22,
    lastCpu: 39,
  });
});

test("the kernel's lists", () => {
  expect(parseKernelCpuList("0-3,8\n")).toEqual([0, 1, 2, 3, 8]);
  expect(parseKernelCpuList("")).toEqual([]);
  expect(parseKernelCpuList("2000-2001")).toEqual([2000, 2001]);
});

const run = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.runPromise(effect.pipe(Effect.provide(NodeServices.layer)));

test("threads come and go while they are looked at", () =>
  run(
    Effect.gen(function* () {
      const script = `
        const { Worker } = require("node:worker_threads");
        const again = () => new Worker("", { eval: true }).once("exit", again);
        for (let i = 0; i < 2; i++) again();`;
      const child = spawn(process.execPath, ["-e", script], { stdio: "ignore" });
      const pid = child.pid ?? 0;
      for (let i = 0; i < 20; i++) {
        const threads = yield* threadsOf(pid);
        expect(threads.map(({ tid }) => tid)).toContain(pid);
        for (const { allowedCpus, state } of threads) {
          expect(allowedCpus.length).toBeGreaterThan(0);
          expect(state).toMatch(/^[A-Za-z]$/);
        }
      }
      child.kill("SIGKILL");
      yield* Effect.promise(() => new Promise((resolve) => child.once("exit", resolve)));
      expect((yield* Effect.flip(threadsOf(pid))).code).toBe("PROCESS_GONE");
    }),
  ));

test("the watch of a process that is gone ends", () =>
  run(
    Effect.gen(function* () {
      const reports = yield* Stream.runCollect(watchProcess(2 ** 22 + 1)).pipe(
        Effect.provideService(
          Acknowledgements,
          Acknowledgements.of({
            changes: Stream.concat(Stream.make({ runtimes: [] }), Stream.never),
          }),
        ),
      );
      expect(reports).toEqual([]);
    }),
  ));
