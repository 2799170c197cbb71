import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import { Result, Schema } from "effect";
import fc from "fast-check";
import {
  type InvalidTopology,
  parseTopology,
  Plan,
  plan,
  printTopology,
  type Topology,
} from "../src/index.ts";
import { lowTarget, scenario, topology } from "./support/arbitraries.ts";
import { domain, vnode } from "./support/machines.ts";

const folder = new URL("../fixtures/", import.meta.url);
const names = readdirSync(folder);
const read = (name: string): string => readFileSync(new URL(name, folder), "utf8");
const fixture = (name: string): Topology => Result.getOrThrow(parseTopology(read(name)));
const failure = (text: string): InvalidTopology =>
  Result.getOrThrow(Result.flip(parseTopology(text)));

describe("fixtures", () => {
  test("there are some", () => {
    expect(names).toContain("epyc-7551p-4x16-guest-4x14.json");
  });

  test.each(names)("%s is sound, and is read back as it is printed", (name) => {
    const read = fixture(name);
    expect(parseTopology(printTopology(read))).toEqual(Result.succeed(read));
  });

  test("EPYC 7551P: removing vnodes 2 and 3 needs three steps and moves 7.7 GiB", () => {
    const { host, guests } = fixture("epyc-7551p-4x16-guest-4x14.json");
    const change = {
      _tag: "shrink",
      domain: domain(1),
      vnodes: [vnode(2), vnode(3)],
    } as const;
    const { steps, cost } = Result.getOrThrow(plan(host, guests, change));
    expect(steps.map(({ _tag }) => _tag)).toEqual(["request", "vcpus", "limit"]);
    expect(steps[1]).toMatchObject({
      vcpus: [14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27].concat([
        42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55,
      ]),
    });
    expect(cost.superpages).toBe(2 * (2048 - 75));
  });
});

test("any topology is read back as it is printed", () => {
  fc.assert(
    fc.property(topology, (each) => {
      expect(parseTopology(printTopology(each))).toEqual(Result.succeed(each));
    }),
  );
});

test("any plan is read back as it is printed", () => {
  const codec = Schema.fromJsonString(Plan);
  let planned = 0;
  fc.assert(
    fc.property(scenario, (each) => {
      const { host, guests } = each.topology;
      const outcome = plan(host, guests, each.changes, { lowTarget });
      if (Result.isFailure(outcome)) return;
      planned++;
      const text = Schema.encodeSync(codec)(outcome.success);
      expect(Schema.decodeSync(codec)(text)).toEqual(outcome.success);
    }),
  );
  expect(planned).toBeGreaterThan(0);
});

describe("a document that is none", () => {
  const sound = read("laptop-1x2-guest-2x1.json");
  const broken = (path: ReadonlyArray<string | number>, value: unknown): string => {
    const document: unknown = JSON.parse(sound);
    const last = path.at(-1) ?? "";
    let at = document as Record<string | number, unknown>;
    for (const key of path.slice(0, -1)) at = at[key] as typeof at;
    if (value === undefined) Reflect.deleteProperty(at, last);
    else at[last] = value;
    return JSON.stringify(document);
  };

  test("no JSON", () => {
    expect(failure("{")).toMatchObject({ code: "NOT_JSON", problems: [{ field: "document" }] });
  });

  test.each<[string, string]>([
    ["host.pnodes[0].freeBytes", broken(["host", "pnodes", 0, "freeBytes"], "4 GiB")],
    ["host.pnodes[0].memoryBytes", broken(["host", "pnodes", 0, "memoryBytes"], -1)],
    ["host.pnodes[0].id", broken(["host", "pnodes", 0, "id"], 65_536)],
    ["host.distances", broken(["host", "distances"], undefined)],
    ["host.distances[0][0]", broken(["host", "distances", 0, 0], 10.5)],
    ["guests[0].vnodes[1].desired", broken(["guests", 0, "vnodes", 1, "desired"], "on")],
    ["guests[0].memory", broken(["guests", 0, "memory"], 1)],
    ["guests[0].domain", broken(["guests", 0, "domain"], 0x7ff0)],
    ["document", "null"],
  ])("SCHEMA at %s", (field, text) => {
    expect(failure(text).problems).toContainEqual(
      expect.objectContaining({ field, code: "SCHEMA" }),
    );
  });

  test("a rule between values that is broken", () => {
    expect(failure(broken(["host", "distances", 0, 0], 11))).toMatchObject({
      code: "DISTANCE_DIAGONAL",
      message: "host.distances[0][0]: 11, and a node is at 10 from itself",
    });
  });
});
