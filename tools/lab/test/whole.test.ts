/** What the demonstration and the faults driver are made of, without a lab. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import { Effect } from "effect";
import type { Host } from "../src/Lab.ts";
import { align } from "../src/whole/Clocks.ts";
import { textOf } from "../src/whole/DemoText.ts";
import { cases, faults, scenarioOf } from "../src/whole/Faults.ts";
import { cpusOf, parse, script } from "../src/whole/Observer.ts";
import { byLine } from "../src/whole/Subject.ts";
import { timelineSvg } from "../src/whole/Timeline.ts";

const folders: Array<string> = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** This machine, its clock `aheadMs` ahead. */
const here = (aheadMs: number): Host => ({
  exec: (argv, options = {}) =>
    Effect.callback((resume) => {
      const child = spawn(argv[0] ?? "", argv.slice(1));
      child.stdout.on("data", (chunk: Buffer) => {
        const text = (Number(chunk.toString()) + aheadMs / 1e3).toFixed(6);
        options.onStdout?.(Buffer.from(text));
      });
      child.on("close", (status) =>
        resume(Effect.succeed({ status: status ?? 1, stdout: Buffer.of(), stderr: Buffer.of() })),
      );
      const ask = async () => {
        for await (const question of options.stdin as AsyncIterable<Uint8Array>) {
          child.stdin.write(question);
        }
        child.stdin.end();
      };
      void ask();
    }),
  run: () => Effect.die("not asked for"),
  check: () => Effect.die("not asked for"),
  push: () => Effect.die("not asked for"),
  pull: () => Effect.die("not asked for"),
});

test("another machine's clock is known within half of an exchange", async () => {
  const { offsetMs, errorMs } = await Effect.runPromise(align(here(90_000)));
  expect(errorMs).toBeGreaterThan(0);
  // The other clock here is the machine's, which may be slewed; this process' runs on as it began.
  expect(Math.abs(offsetMs - 90_000)).toBeLessThan(errorMs + 1);
}, 60_000);

test("the observer tells what the module says and where each thread may run", async () => {
  const folder = mkdtempSync(join(tmpdir(), "virtflex-observer-"));
  folders.push(folder);
  const status = join(folder, "status");
  const node = "target 262144 capacity 262144 stock 0 supers 0 smalls 0 in_hand 0 unmovable 0";
  const text = (state: string) =>
    `request 3 shrink\nstate ${state}\nwhy -\ntime taken-up 1764080000000000000\ngeneration 2\nruntimes 0/1\n` +
    `node 0 vnode 0 online actual 262144 ${node}\nnode 1 vnode 1 evacuating actual 73728 ${node}\n`;
  writeFileSync(status, text("evacuating"));
  const child = spawn("bash", [
    ...["-c", script.replaceAll("/proc/virtflex/status", status)],
    ...["observer", String(process.pid)],
  ]);
  const seen: Array<ReturnType<typeof parse>> = [];
  await new Promise<void>((resolve) => {
    child.stdout.on(
      "data",
      byLine((line) => {
        seen.push(parse(line));
        if (seen.at(-1)?.state === "resizing") resolve();
        else writeFileSync(status, text("resizing"));
      }),
    );
  });
  child.kill();
  const [first] = seen;
  expect(first).toMatchObject({
    state: "evacuating",
    generation: 2,
    runtimes: "0/1",
    vnodes: [
      { state: "online", actualKiB: 262144 },
      { state: "evacuating", actualKiB: 73728 },
    ],
  });
  expect(first?.threads.length).toBeGreaterThan(0);
  for (const { atMs, sinceMs } of seen) {
    expect(sinceMs).toBeGreaterThan(0);
    expect(sinceMs).toBeLessThanOrEqual(atMs);
  }
  expect(first?.threads.flatMap(cpusOf).every(Number.isSafeInteger)).toBe(true);
}, 60_000);

test("CPUs of a list", () => {
  expect(cpusOf("0-2,5")).toEqual([0, 1, 2, 5]);
});

test("each round of seeds has every case once, in its own order", () => {
  const round = (number: number) => cases.map((_, i) => scenarioOf(number * cases.length + i + 1));
  const casesOf = (number: number) =>
    round(number).map(({ fault, op, step }) => ({ fault, op, step }));
  const [first, second] = [casesOf(0), casesOf(1)];
  expect(new Set(first)).toEqual(new Set(cases));
  expect(new Set(second)).toEqual(new Set(cases));
  expect(new Set(cases.map(({ fault }) => fault))).toEqual(new Set(faults));
  expect(first).not.toEqual(second);
  expect(round(1)).toEqual(round(1));
  expect(round(0).every(({ delayMs }) => delayMs === 0)).toBe(true);
  expect(new Set(round(1).map(({ delayMs }) => delayMs)).size).toBeGreaterThan(cases.length / 2);
});

test.each([0, -3, 1 - cases.length, 1.5])("seed %d is refused", (seed) => {
  expect(() => scenarioOf(seed)).toThrow(RangeError);
});

const offset = { offsetMs: 12, errorMs: 0.4 };
const phase = {
  op: "shrink",
  result: "done",
  vnodesBefore: 4,
  vnodesAfter: 2,
  threadsBefore: 4,
  threadsAfter: 2,
  cpusBefore: "0,1,2,3",
  cpusAfter: "0,1",
  adaptedMs: 120,
  elapsedMs: 900,
  timeline: [
    {
      what: "change done",
      by: "virtflex",
      atMs: 800,
      errorMs: 0.5,
      detail: "pnode 2 +180 MiB free",
    },
  ],
} as const;
const demonstrated = {
  result: "done",
  verified: true,
  repetitions: 3,
  phases: [phase],
  clock: { of: "this machine", dom0: offset, guest: offset },
} as const;

test("the table names each moment, who says so, and how sure it is", () => {
  const text = textOf(demonstrated);
  expect(text).toMatch(/^shrink +done +4 → 2 +4 → 2 +0,1,2,3 → 0,1 +0\.12 s +0\.90 s$/m);
  expect(text).toMatch(/^0\.800 s +± 0\.001 +change done: pnode 2 \+180 MiB free +virtflex$/m);
});

test("the picture has a row a moment, on an axis of seconds", () => {
  const svg = timelineSvg({
    ...demonstrated,
    phases: [
      {
        ...phase,
        timeline: [
          { what: "request <written>", by: "virtflex", atMs: 0, errorMs: 0 },
          { what: "done", by: "libgomp, by virtflex.ko", atMs: 1000, errorMs: 0 },
          { what: "vCPUs off", by: "virtflex.ko", atMs: 800, errorMs: 0.5 },
        ],
      },
    ],
  });
  const dots = [...svg.matchAll(/<circle cx="([\d.]+)" cy="\d+" r="5" fill="(#\w+)"><title>/g)];
  const [request, done, returned] = dots.map(([, x]) => Number(x));
  expect(dots).toHaveLength(3);
  expect((Number(returned) - Number(request)) / (Number(done) - Number(request))).toBeCloseTo(
    0.8,
    2,
  );
  expect(new Set(dots.map(([, , colour]) => colour)).size).toBe(3);
  expect(svg).toContain("request &lt;written>");
  expect(svg).toContain("shrink: 4 → 2 vnodes, 4 → 2 threads");
});
