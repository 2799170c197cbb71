import { createServer, type Server } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { Effect } from "effect";
import { ask } from "../src/meter/Meter.ts";
import { hitNs, localMissNs, modelledNs } from "../src/meter/ModelledTime.ts";
import { accesses, svg, terminal } from "../src/meter/Picture.ts";
import { parseOptions, qemuArguments } from "../src/meter/Plugin.ts";
import { matrixOf, misses, type Reading, remoteShare } from "../src/meter/Reading.ts";
import { make } from "../src/Shape.ts";

const vcpu = (node: number, loadMisses: ReadonlyArray<number>) => ({
  node,
  loads: [10, 20, 0],
  stores: [1, 2, 0],
  loadMisses,
  storeMisses: [1, 0, 0],
  io: 0,
  unresolved: 0,
});

const reading: Reading = {
  on: true,
  sample: 4,
  line: 64,
  chosen: null,
  vcpus: [vcpu(0, [5, 3, 0]), vcpu(0, [1, 0, 0]), vcpu(1, [0, 7, 9])],
};

const distances = [
  [10, 32],
  [16, 10],
];

describe("a reading", () => {
  test("by node, scaled up by its sample, memory of no node left out", () => {
    expect(misses(reading)).toEqual([
      [4 * (5 + 1 + 1 + 1), 4 * 3],
      [4 * 1, 4 * 7],
    ]);
    expect(matrixOf(reading, ["loads", "stores"])).toEqual([
      [4 * 22, 4 * 44],
      [4 * 11, 4 * 22],
    ]);
  });

  test("remote share", () => {
    expect(remoteShare(misses(reading))).toBeCloseTo((3 + 1) / (8 + 3 + 1 + 7), 12);
    expect(remoteShare([])).toBe(0);
    expect(
      remoteShare([
        [0, 0],
        [0, 0],
      ]),
    ).toBe(0);
  });

  test("modelled time is that of the slowest CPU, weighted by its distances", () => {
    const of = (near: number, far: number) => 4 * 33 * hitNs + 4 * (near + far) * localMissNs;
    const each = [of(6, 3 * 3.2), of(2, 0), of(7, 1 * 1.6)];
    expect(modelledNs(reading, distances)).toBeCloseTo(Math.max(...each), 6);
  });

  test("pictures name every cell", () => {
    const text = terminal("misses", misses(reading));
    expect(text).toContain("memory 1");
    expect(text).toContain("CPUs of 1");
    expect(text).toContain("remote: 21.1 %");
    expect(accesses(reading)).toBe("loads: 360, 64 of them missed\nstores: 36, 12 of them missed");
    const picture = svg("a < b", misses(reading));
    expect(picture.match(/<rect /g)).toHaveLength(4);
    expect(picture).toContain("a &lt; b");
  });
});

describe("the meter's options", () => {
  test("are passed on with the machine's nodes", () => {
    const shape = Effect.runSync(make({ nodes: 2, cpus: 6, memory: "4G" }));
    const options = Effect.runSync(parseOptions("sample=16,code=60000000-61000000,guest=chosen"));
    expect(qemuArguments("/a,b", shape, "/state", options)).toEqual([
      "-plugin",
      "file=/a,,b/numa-meter.so,memory=2048M:2048M,cpus=0:0:0:1:1:1,socket=/state/meter.sock,sample=16,code=60000000-61000000,guest=chosen",
    ]);
    expect(Effect.runSync(parseOptions(""))).toEqual([]);
  });

  test.each(["memory=1G", "cache", "cache=", "start=on;", "socket=/tmp/x"])(
    "%s is not the user's to give",
    (text) => {
      const error = Effect.runSync(Effect.flip(parseOptions(text)));
      expect(error._tag).toBe("InvalidOption");
      expect(error.message).toContain(text);
    },
  );
});

describe("the meter's socket", () => {
  let directory = "";
  let server: Server | undefined;

  const serve = (answer: (line: string) => string | undefined): string => {
    const path = join(directory, "meter");
    server = createServer((socket) => {
      socket.on("data", (data) => {
        const text = answer(data.toString());
        if (text === undefined) socket.destroy();
        else socket.end(text);
      });
    }).listen(path);
    return path;
  };

  const failure = (path: string) => Effect.runPromise(Effect.flip(ask(path, "read")));

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "meter-"));
  });
  afterEach(() => {
    server?.close();
    server = undefined;
    rmSync(directory, { recursive: true });
  });

  test("a command goes out, a reading comes back", async () => {
    const lines: Array<string> = [];
    const path = serve((line) => {
      lines.push(line);
      return `${JSON.stringify(reading)}\n`;
    });
    expect(await Effect.runPromise(ask(path, "reset"))).toEqual(reading);
    expect(lines).toEqual(["reset\n"]);
  });

  test.each([
    ["an error", '{"error":"no such command"}\n'],
    ["a negative count", `${JSON.stringify({ ...reading, sample: -1 })}\n`],
    ["no JSON", "hello\n"],
    ["nothing", undefined],
  ])("%s instead of a reading is said", async (_, answer) => {
    expect((await failure(serve(() => answer))).code).toBe("LAB_METER_UNAVAILABLE");
  });

  test("a lab without a meter", async () => {
    const error = await failure(join(directory, "none"));
    expect(error.code).toBe("LAB_METER_UNAVAILABLE");
    expect(error.message).toContain("ENOENT");
  });
});
