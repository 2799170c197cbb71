import { describe, expect, test } from "@jest/globals";
import { VnodeId } from "@virtflex/topo-model";
import { Effect, Result } from "effect";
import fc from "fast-check";
import { decode, encode, sameForRuntimes, type TopologyPage } from "../src/index.ts";
import { native } from "../src/live/native.ts";
import { layout } from "../src/TopologyPage.ts";

test("the layout is the compiler's", async () => {
  expect(await Effect.runPromise(native("the header", (addon) => addon.layout))).toEqual(layout);
});

/** Two nodes of two CPUs. */
const page: TopologyPage = {
  nodes: [
    { present: true, online: true, evacuating: false, memoryBytes: 1024 ** 3 },
    { present: true, online: true, evacuating: false, memoryBytes: 1024 ** 3 },
  ],
  cpuNode: [VnodeId.make(0), VnodeId.make(0), VnodeId.make(1), VnodeId.make(1)],
  distances: [
    [10, 20],
    [21, 10],
  ],
  resetCall: 0,
};

/** As the publisher would complete it. */
const published = (content: TopologyPage, generation = 1n): Uint8Array => {
  const bytes = Result.getOrThrow(encode(content));
  const data = new DataView(bytes.buffer);
  data.setUint32(layout.magic, layout.magicValue, true);
  data.setUint32(layout.abi, layout.abiValue, true);
  data.setUint32(layout.pageSize, layout.size, true);
  data.setBigUint64(layout.generation, generation, true);
  return bytes;
};

const arbitraryPage: fc.Arbitrary<TopologyPage> = fc
  .tuple(fc.integer({ min: 1, max: layout.maxNodes }), fc.integer({ min: 1, max: 64 }))
  .chain(([nodes, cpus]) =>
    fc.record({
      nodes: fc.array(
        fc.record({
          present: fc.constant(true),
          online: fc.constant(true),
          evacuating: fc.boolean(),
          memoryBytes: fc.nat(2 ** 31 - 1).map((kib) => kib * 1024),
        }),
        { minLength: nodes, maxLength: nodes },
      ),
      cpuNode: fc.array(fc.option(fc.nat(nodes - 1).map((id) => VnodeId.make(id))), {
        minLength: cpus,
        maxLength: cpus,
      }),
      distances: fc
        .integer({ min: 11, max: 255 })
        .map((other) =>
          Array.from({ length: nodes }, (_, from) =>
            Array.from({ length: nodes }, (_, to) => (from === to ? 10 : other)),
          ),
        ),
      resetCall: fc.nat(1000),
    }),
  );

test("what is encoded is decoded", () => {
  fc.assert(
    fc.property(arbitraryPage, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (any, generation) => {
      expect(Result.getOrThrow(decode(published(any, generation)))).toEqual({ ...any, generation });
    }),
    { numRuns: 50 },
  );
});

test("bytes that anybody may have written are refused or read, and never more", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(layout.size - 1), fc.nat(255)), { maxLength: 20 }),
      (changes) => {
        const bytes = published(page);
        for (const [at, byte] of changes) bytes[at] = byte;
        const result = decode(bytes);
        if (Result.isFailure(result)) {
          expect(result.failure.code).toBe("PAGE_FIELD_INVALID");
          return;
        }
        const { nodes, cpuNode } = result.success;
        expect(cpuNode.every((node) => node === null || nodes[node]?.present === true)).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});

describe("a field that breaks its rule is named:", () => {
  const u32 = (at: number, value: number) => (data: DataView) => data.setUint32(at, value, true);
  const node1 = layout.node + layout.nodeStride;
  test.each([
    ["magic", u32(layout.magic, 1)],
    ["abi", u32(layout.abi, 2)],
    ["page_size", u32(layout.pageSize, 4096)],
    ["node_count", u32(layout.nodeCount, 0)],
    ["node_count", u32(layout.nodeCount, 65)],
    ["cpu_count", u32(layout.cpuCount, 0)],
    ["cpu_count", u32(layout.cpuCount, 1025)],
    ["node[1].flags", u32(node1, layout.nodeOnline)],
    ["node[1].flags", u32(node1, layout.nodePresent | layout.nodeEvacuating)],
    ["node[1].memory_kib", (data: DataView) => data.setBigUint64(node1 + 8, 2n ** 60n, true)],
    ["cpu_node[2]", (data: DataView) => data.setUint16(layout.cpuNode + 4, 2, true)],
    ["cpu_node[2]", u32(node1, 0)],
    ["distance[0][0]", (data: DataView) => data.setUint8(layout.distance, 11)],
    ["distance[1][0]", (data: DataView) => data.setUint8(layout.distance + 64, 10)],
  ] as const)("%s", (field, change) => {
    const bytes = published(page);
    change(new DataView(bytes.buffer));
    const result = decode(bytes);
    expect(Result.isFailure(result) && result.failure.field).toBe(field);
    expect(Result.isFailure(result) && result.failure.message).toContain("must be");
  });

  test("in a page to be published, too", () => {
    const field = (wrong: Partial<TopologyPage>) => {
      const result = encode({ ...page, ...wrong });
      return Result.isFailure(result) ? result.failure.field : undefined;
    };
    expect(field({ nodes: [] })).toBe("node_count");
    expect(field({ cpuNode: [] })).toBe("cpu_count");
    expect(field({ cpuNode: [VnodeId.make(2)] })).toBe("cpu_node[0]");
    expect(field({ distances: [[10]] })).toBe("distance[0][1]");
    expect(decode(new Uint8Array(100))).toMatchObject({ failure: { field: "page" } });
  });
});

describe("runtimes", () => {
  const [first, second] = page.nodes;
  const node1 = (change: object) => ({
    ...page,
    nodes: [first, { ...second, ...change }] as TopologyPage["nodes"],
  });
  test.each([
    ["do not see memory", page, node1({ memoryBytes: 5 }), true],
    ["see a node that is being left", page, node1({ evacuating: true }), false],
    [
      "do not see that it was left then",
      node1({ evacuating: true }),
      { ...node1({ online: false }), cpuNode: page.cpuNode.slice(0, 2) },
      true,
    ],
    ["see a CPU that is gone", page, { ...page, cpuNode: page.cpuNode.slice(0, 3) }, false],
    [
      "see a CPU that moved",
      page,
      { ...page, cpuNode: page.cpuNode.map(() => VnodeId.make(0)) },
      false,
    ],
    [
      "see other distances",
      page,
      {
        ...page,
        distances: [
          [10, 30],
          [21, 10],
        ],
      },
      false,
    ],
  ])("%s", (_, a, b, same) => {
    expect(sameForRuntimes(a, b)).toBe(same);
    expect(sameForRuntimes(b, a)).toBe(same);
  });
});
