import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import { Result } from "effect";
import fc from "fast-check";
import {
  applySteps,
  drawSvg,
  drawTerminal,
  initialState,
  parseTopology,
  plan,
  type Topology,
} from "../src/index.ts";
import { topology } from "./support/arbitraries.ts";
import { domain, vnode } from "./support/machines.ts";

const file = new URL("../fixtures/epyc-7551p-4x16-guest-4x14.json", import.meta.url);
const before = Result.getOrThrow(parseTopology(readFileSync(file, "utf8")));
const change = { _tag: "shrink", domain: domain(1), vnodes: [vnode(2), vnode(3)] } as const;
const { steps } = Result.getOrThrow(plan(before.host, before.guests, change));
const after: Topology = Result.getOrThrow(applySteps(initialState(before), steps));

const named = (name: string): Topology => ({
  ...before,
  guests: before.guests.map((guest) => ({ ...guest, name })),
});

describe("terminal", () => {
  test("EPYC 7551P before and after two vnodes leave", () => {
    const lines = drawTerminal([before, after]).split("\n");
    expect(lines.slice(0, 4)).toEqual([
      "           before                             after",
      "pnode 0    AAAAAAA·AAAAAAA·                   AAAAAAA·AAAAAAA·",
      "          ▕AAAA########····················▏ ▕AAAA########····················▏",
      "           20.5 GiB of 32 GiB free            20.5 GiB of 32 GiB free",
    ]);
    expect(lines.slice(7, 10)).toEqual([
      "pnode 2    AAAAAAA·AAAAAAA·                   ················",
      "          ▕AAAA########····················▏ ▕A########·······················▏",
      "           20.5 GiB of 32 GiB free            24.35 GiB of 32 GiB free",
    ]);
    expect(lines.slice(-7)).toEqual([
      "A ubuntu (domain 1)",
      "  vnode 0   pnode 0, online, 14/14 vCPUs, 4 GiB",
      "  vnode 1   pnode 1, online, 14/14 vCPUs, 4 GiB",
      "  vnode 2   pnode 2, online, 14/14 vCPUs, 4 GiB",
      "           → pnode 2, offline, 0/14 vCPUs, 150 MiB",
      "  vnode 3   pnode 3, online, 14/14 vCPUs, 4 GiB",
      "           → pnode 3, offline, 0/14 vCPUs, 150 MiB",
    ]);
  });

  test("colours are added to the letters, never instead of them", () => {
    const colored = drawTerminal([before, after], { color: true });
    expect(colored).toContain("\u001b[36m");
    expect(colored.replace(/\u001b\[\d+m/g, "")).toBe(drawTerminal([before, after]));
  });

  test("a guest's name is shown, not obeyed", () => {
    expect(drawTerminal([named("\u001b[2Jx")])).toContain("A \\u{1b}[2Jx (domain 1)");
  });

  test("every bar is as wide as the others, and no line wider than the terminal", () => {
    fc.assert(
      fc.property(topology, fc.integer({ min: 60, max: 160 }), (each, columns) => {
        const lines = drawTerminal([each, each], { columns }).split("\n");
        const bars = lines.filter((line) => line.includes("▕"));
        expect(bars).toHaveLength(each.host.pnodes.length);
        expect(new Set(bars.map((line) => line.length)).size).toBe(1);
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
      }),
    );
  });
});

/** Tags in order; throws when they are not nested as XML's must be. */
const elementsOf = (svg: string): ReadonlyArray<string> => {
  const open: Array<string> = [];
  const all: Array<string> = [];
  for (const [, close, name = "", , selfClosed] of svg.matchAll(
    /<(\/?)([a-z]+)((?:\s[\w-]+(?::\w+)?="[^"<]*")*)\s*(\/?)>/g,
  )) {
    if (close) expect(open.pop()).toBe(name);
    else {
      all.push(name);
      if (!selfClosed) open.push(name);
    }
  }
  expect(open).toEqual([]);
  return all;
};

describe("SVG", () => {
  test("a card a pnode, a square a pcpu, before and after", () => {
    const svg = drawSvg([before, after], { title: "virtflex shrink ubuntu --vnodes 2,3" });
    expect(svg.match(/class="card"/g)).toHaveLength(8);
    const squares = svg.match(/rx="2" (?:fill|class)=/g) ?? [];
    // And a square in the legend for the guest, for other and for free.
    expect(squares).toHaveLength(2 * 64 + 3);
    expect(svg).toContain("vnode 2: offline, keeps 150 MiB");
    expect(svg).toContain("After: a host of 4 pnodes; ubuntu uses vnodes 0, 1 of 4.");
    expect(elementsOf(svg)[0]).toBe("svg");
  });

  test("a guest's name can't leave its text", () => {
    const svg = drawSvg([named(`</text><script>"&\u0007`)]);
    expect(elementsOf(svg)).not.toContain("script");
    expect(svg).toContain("&lt;/text&gt;&lt;script&gt;&quot;&amp;�");
  });

  test("whatever is drawn is well-formed, and every length is one", () => {
    fc.assert(
      fc.property(topology, (each) => {
        const svg = drawSvg([each]);
        elementsOf(svg);
        expect(svg).not.toMatch(/NaN|undefined|Infinity|(?:width|height)="-/);
      }),
    );
  });
});
