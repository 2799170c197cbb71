import { expect, test } from "@jest/globals";
import { Effect, Exit } from "effect";
import { parseRepetition, isRight } from "../src/demo/Cg.ts";
import { busyOf } from "../src/demo/Team.ts";
import { timelineSvg } from "../src/demo/Timeline.ts";
import { table } from "../src/Output.ts";
import { bar } from "../src/Screen.ts";
import { parseSize, parseTimeout, parseVnodes } from "../src/Values.ts";

const value = <A, E>(effect: Effect.Effect<A, E>) => Effect.runSync(effect);
const isRefused = <A, E>(effect: Effect.Effect<A, E>) => Exit.isFailure(Effect.runSyncExit(effect));

test("vnodes: lists and ranges in any order", () => {
  expect(value(parseVnodes("3,1-2"))).toEqual([3, 1, 2]);
  for (const text of ["", "1,", "a", "1-", "64", "-1", " 1", "1..2"]) {
    expect(isRefused(parseVnodes(text))).toBe(true);
  }
});

test("sizes: units of 1,024", () => {
  expect(value(parseSize("--size", "512M"))).toBe(512 * 1024 ** 2);
  expect(value(parseSize("--size", "1.5GiB"))).toBe(1.5 * 1024 ** 3);
  expect(value(parseSize("--size", "4096"))).toBe(4096);
  for (const text of ["", "1X", "-1", "1.5", "1e3", "9000000T"]) {
    expect(isRefused(parseSize("--size", text))).toBe(true);
  }
});

test("times: seconds unless they say otherwise", () => {
  expect(value(parseTimeout("30"))).toBe(30_000);
  expect(value(parseTimeout("500ms"))).toBe(500);
  expect(value(parseTimeout("1.5m"))).toBe(90_000);
  for (const text of ["", "0", "-1", "1d", "1000h", "soon"]) {
    expect(isRefused(parseTimeout(text))).toBe(true);
  }
});

test("a table's numbers stand to the right", () => {
  const rows = [
    [7, "a"],
    [10, "bc"],
  ];
  expect(table(["ID", "NAME"], rows)).toBe("ID  NAME\n 7  a\n10  bc");
});

test("a bar is as long as it is done", () => {
  expect(bar(0, 4)).toBe("░░░░");
  expect(bar(0.5, 4)).toBe("██░░");
  expect(bar(0.625, 4)).toBe("██▌░");
  expect(bar(2, 4)).toBe("████");
});

test("CG's results are held against the published ones, to the benchmark's tolerance", () => {
  const text = "repetition=2 zeta=8.5971775078648 verified=yes threads=2 seconds=0.1";
  const one = parseRepetition(text);
  expect(one).toEqual({ number: 2, zeta: 8.5971775078648 });
  expect(parseRepetition("libgomp: something")).toBeUndefined();
  expect(isRight("S", { number: 1, zeta: 8.5971775078648 })).toBe(true);
  expect(isRight("S", { number: 1, zeta: 8.597177508 })).toBe(false);
  expect(isRight("W", { number: 1, zeta: 8.5971775078648 })).toBe(false);
});

test("a thread is busy if it ran, new ones included", () => {
  const thread = (tid: number, ranNanos: bigint) => ({
    tid,
    ranNanos,
    state: "S",
    allowedCpus: [0],
    lastCpu: 0,
  });
  const before = [thread(1, 5n), thread(2, 5n), thread(4, 1n)];
  const after = [thread(1, 6n), thread(2, 5n), thread(3, 1n)];
  expect(busyOf(before, after).map(({ tid }) => tid)).toEqual([1, 3]);
});

test("a timeline is one line of threads, a lane a vnode, and escaped text", () => {
  const svg = timelineSvg({
    title: "a < b",
    end: 1000,
    samples: [
      { at: 0, threads: 2 },
      { at: 500, threads: 1 },
    ],
    vnodes: [
      { at: 0, vnode: 0, state: "online" },
      { at: 0, vnode: 1, state: "online" },
      { at: 400, vnode: 1, state: "offline" },
    ],
    phases: [{ op: "shrink", started: 300, adapted: 350, ended: 500, result: "done" }],
  });
  expect(svg).toContain("a &lt; b");
  expect(svg.match(/>vnode \d</g)).toEqual([">vnode 0<", ">vnode 1<"]);
  expect(svg.match(/<path /g)).toHaveLength(1);
});
