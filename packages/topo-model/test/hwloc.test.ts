import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Effect, Result } from "effect";
import { GiB, type Host, Hwloc, parseTopology, PcpuId, validate } from "../src/index.ts";
import { flat, host, pnode } from "./support/machines.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "virtflex-hwloc-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const run = <A, E>(effect: Effect.Effect<A, E>): A => Effect.runSync(effect);
const failure = <A, E>(effect: Effect.Effect<A, E>): E => run(Effect.flip(effect));

/** What hwloc can tell of a host: everything is free. */
const bare = (of: Host): Host => ({
  ...of,
  pnodes: of.pnodes.map((each) => ({ ...each, freeBytes: each.memoryBytes })),
});

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

describe("import", () => {
  test("this machine is one that can be planned on", () => {
    const machine = run(Hwloc.readMachine);
    expect(machine.pnodes.flatMap(({ pcpus }) => pcpus).length).toBeGreaterThan(0);
    expect(Result.isSuccess(validate({ host: machine, guests: [] }))).toBe(true);
  });

  test("node:4 core:8 pu:2", () => {
    const machine = run(Hwloc.readSynthetic("node:4 core:8 pu:2"));
    expect(machine).toEqual(bare({ ...host(4, 16, []), ...withMemory(4, 16, 1 * GiB) }));
    expect(machine.distances).toEqual(flat(4));
  });

  test("memory that several kinds of node share CPUs with: one node has them", () => {
    const machine = run(Hwloc.readSynthetic("pack:2 [numa(memory=8GB)] [numa(memory=64GB)] pu:4"));
    expect(machine.pnodes.map(({ pcpus }) => pcpus.length).toSorted()).toEqual([0, 0, 4, 4]);
  });

  test.each(["", "node:0", "node:-1 pu:1", "gibberish", "node:4 core:"])(
    "%j is no description",
    (description) => {
      const error = failure(Hwloc.readSynthetic(description));
      expect(error).toMatchObject({ _tag: "HwlocError", code: "HWLOC_SYNTHETIC" });
      expect(error.message.startsWith(`${description}: `)).toBe(true);
    },
  );

  test("a file that is none, one that is empty, one that is cut off, one of another kind", () => {
    const whole = run(Hwloc.writeXml(host(2, 2, [0, 0])));
    for (const path of [
      join(folder, "absent.xml"),
      file("empty.xml", ""),
      file("cut.xml", whole.slice(0, whole.length / 2)),
      file("other.xml", "<html></html>"),
      file("text.xml", "node:4"),
    ]) {
      expect(failure(Hwloc.readXmlFile(path))).toMatchObject({ code: "HWLOC_XML", source: path });
    }
  });

  test("distances that are no SLIT are refused by their rule", () => {
    const whole = run(Hwloc.writeXml(host(2, 2, [0, 0])));
    const path = file("slit.xml", whole.replace("10 20 20 10", "10 10 20 10"));
    expect(failure(Hwloc.readXmlFile(path))).toMatchObject({
      _tag: "InvalidTopology",
      problems: [{ field: "host.distances[0][1]", code: "DISTANCE_RANGE" }],
    });
  });
});

const withMemory = (nodes: number, pcpus: number, memoryBytes: number) => ({
  pnodes: host(nodes, pcpus, []).pnodes.map((each) => ({ ...each, memoryBytes })),
});

describe("export", () => {
  const fixtures = new URL("../fixtures/", import.meta.url);

  test.each(readdirSync(fixtures))("%s is read back, and lstopo opens it", (name) => {
    const text = readFileSync(new URL(name, fixtures), "utf8");
    const machine = Result.getOrThrow(parseTopology(text)).host;
    const path = file(`${name}.xml`, run(Hwloc.writeXml(machine)));
    expect(run(Hwloc.readXmlFile(path))).toEqual(bare(machine));
    const seen = execFileSync("lstopo-no-graphics", ["-i", path, "--only", "numanode"], {
      encoding: "utf8",
    });
    expect(seen.trim().split("\n")).toHaveLength(machine.pnodes.length);
  });

  test("asymmetric distances, ids and CPUs with gaps", () => {
    const gaps = withMemory(3, 4, 3 * GiB).pnodes.map((each, i) => ({
      ...each,
      id: pnode(2 * i + 1),
      pcpus: [70 * i, 70 * i + 1, 70 * i + 33].map((pcpu) => PcpuId.make(pcpu)),
    }));
    const machine = {
      pnodes: gaps,
      distances: [
        [10, 11, 12],
        [21, 10, 254],
        [31, 32, 10],
      ],
    };
    const path = file("gaps.xml", run(Hwloc.writeXml(machine)));
    expect(run(Hwloc.readXmlFile(path))).toEqual(bare(machine));
  });

  test("a host that can't exist is not exported", () => {
    const broken = { ...host(2, 2, [0, 0]), distances: [] };
    expect(failure(Hwloc.writeXml(broken))._tag).toBe("InvalidTopology");
  });
});
