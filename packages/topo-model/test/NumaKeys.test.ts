import { describe, expect, test } from "@jest/globals";
import { Result } from "effect";
import fc from "fast-check";
import { DomainId, NumaKeys, PnodeId, VcpuId } from "../src/index.ts";

const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const bytes = fc.integer({ min: 0, max: 1 << 30 }).map((kib) => kib * 1024);
const parsers: ReadonlyArray<(text: string) => NumaKeys.Parsed<unknown>> = [
  NumaKeys.parseKib,
  NumaKeys.parsePnode,
  NumaKeys.parseVnode,
  NumaKeys.parseVcpu,
  NumaKeys.parseDesired,
  NumaKeys.parseAvailability,
  NumaKeys.parseGeneration,
  NumaKeys.parseCpuList,
  NumaKeys.parseRequest,
  NumaKeys.parseState,
  NumaKeys.parseNodeStatus,
  NumaKeys.parseRuntimes,
];

const roundTrips = <A>(
  values: fc.Arbitrary<A>,
  print: (value: A) => string,
  parse: (text: string) => NumaKeys.Parsed<A>,
) => {
  fc.assert(
    fc.property(values, (value) => {
      const text = print(value);
      expect(Result.getOrThrow(parse(text))).toEqual(value);
      expect(text.length).toBeLessThanOrEqual(NumaKeys.maxValueLength);
      // Nothing around it.
      for (const wrong of [` ${text}`, `${text} `, `${text}\n`, `${text}\0`, `+${text}`]) {
        expect(Result.isFailure(parse(wrong))).toBe(true);
      }
    }),
  );
};

describe("what one side prints the other parses", () => {
  test("sizes", () => roundTrips(bytes, NumaKeys.printKib, NumaKeys.parseKib));
  test("generations", () =>
    roundTrips(
      fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      NumaKeys.printGeneration,
      NumaKeys.parseGeneration,
    ));
  test("pnodes", () =>
    roundTrips(
      fc.integer({ min: 0, max: 0xffff }).map((n) => PnodeId.make(n)),
      NumaKeys.printPnode,
      NumaKeys.parsePnode,
    ));
  test("availability", () =>
    roundTrips(fc.boolean(), NumaKeys.printAvailability, NumaKeys.parseAvailability));
  test("cpu lists", () =>
    roundTrips(
      fc
        .uniqueArray(fc.integer({ min: 0, max: NumaKeys.maxCpus - 1 }), { maxLength: 1024 })
        .map((cpus) => cpus.sort((a, b) => a - b).map((cpu) => VcpuId.make(cpu))),
      NumaKeys.printCpuList,
      NumaKeys.parseCpuList,
    ));
  test("requests", () =>
    roundTrips(
      fc.record({
        id,
        op: fc.constantFrom(...NumaKeys.GuestOp.literals),
        deadlineMs: fc.integer({ min: 1, max: NumaKeys.maxDeadlineMs }),
      }),
      NumaKeys.printRequest,
      NumaKeys.parseRequest,
    ));
  test("states", () =>
    roundTrips<NumaKeys.RequestStatus>(
      fc.oneof(
        fc.record({
          id,
          state: fc.constantFrom(...NumaKeys.ProgressState.literals, "done", "cancelled"),
        }),
        fc.record({
          id,
          state: fc.constant("failed" as const),
          code: fc.constantFrom(...NumaKeys.FailureCode.literals),
        }),
      ),
      NumaKeys.printState,
      NumaKeys.parseState,
    ));
  test("node states", () =>
    roundTrips(
      fc.record({
        actualBytes: bytes,
        state: fc.constantFrom(...NumaKeys.NodeState.literals),
      }),
      NumaKeys.printNodeStatus,
      NumaKeys.parseNodeStatus,
    ));
  test("runtimes", () =>
    roundTrips(
      fc
        .tuple(fc.nat(1 << 22), fc.nat(1 << 22))
        .map(([a, b]) => ({ adapted: Math.min(a, b), known: Math.max(a, b) })),
      NumaKeys.printRuntimes,
      NumaKeys.parseRuntimes,
    ));
});

describe("hostile text", () => {
  /** Text near the grammars, so that the fuzzer gets past the first character. */
  const near = fc
    .array(
      fc.oneof(
        fc.constantFrom("0", "00", "1", "-", ",", " ", "/", "0x1", "1e3", "-1", "\0", "\n", "é"),
        fc.constantFrom(...NumaKeys.GuestOp.literals, "done", "failed", "deadline", "online"),
        fc.nat().map(String),
        fc.bigInt({ min: 0n, max: 1n << 70n }).map(String),
        fc.string(),
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join(""));

  test("is refused or read, never thrown at, and what is read prints as it was", () => {
    fc.assert(
      fc.property(fc.oneof(near, fc.string({ maxLength: 100 })), (text) => {
        for (const parse of parsers) {
          const result = parse(text);
          if (Result.isFailure(result)) {
            expect(result.failure.code).toBe("NUMA_KEY_INVALID");
            expect(result.failure.message.length).toBeLessThan(400);
          }
        }
        const request = NumaKeys.parseRequest(text);
        if (Result.isSuccess(request)) expect(NumaKeys.printRequest(request.success)).toBe(text);
        const state = NumaKeys.parseState(text);
        if (Result.isSuccess(state)) expect(NumaKeys.printState(state.success)).toBe(text);
        const cpus = NumaKeys.parseCpuList(text);
        if (Result.isSuccess(cpus)) {
          expect(cpus.success.every((cpu, i) => i === 0 || cpu > (cpus.success[i - 1] ?? 0))).toBe(
            true,
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ["parseCpuList", "3-1"],
    ["parseCpuList", "1,1"],
    ["parseCpuList", "2,1"],
    ["parseCpuList", "0-1024"],
    ["parseCpuList", "0-"],
    ["parseCpuList", "-3"],
    ["parseCpuList", "0--3"],
    ["parseCpuList", "0-1-2"],
    ["parseCpuList", ","],
    ["parseCpuList", "0,"],
    ["parseRequest", ""],
    ["parseRequest", "0 shrink 1000"],
    ["parseRequest", "1 shrink"],
    ["parseRequest", "1 shrink 0"],
    ["parseRequest", "1 shrink 2147483648"],
    ["parseRequest", "1  shrink 1000"],
    ["parseRequest", "1 Shrink 1000"],
    ["parseRequest", "9007199254740993 shrink 1000"],
    ["parseState", "1 done busy"],
    ["parseState", "1 failed"],
    ["parseState", "1 failed because"],
    ["parseState", "-1 done"],
    ["parseNodeStatus", "12 gone"],
    ["parseNodeStatus", "9007199254740991 online"],
    ["parseRuntimes", "2/1"],
    ["parseRuntimes", "1/"],
    ["parseGeneration", "18446744073709551616"],
    ["parseKib", "1.5"],
    ["parseKib", "9007199254740991"],
    ["parseVnode", "64"],
    ["parseVcpu", "1024"],
  ] as const)("%s refuses %j", (parser, text) => {
    const parse: (text: string) => NumaKeys.Parsed<unknown> = NumaKeys[parser];
    expect(Result.isFailure(parse(text))).toBe(true);
  });

  test("an error shows a bounded, printable piece of it", () => {
    const result = NumaKeys.parseRequest(`\x1b[2J\0${"x".repeat(100_000)}`);
    expect(Result.isFailure(result) && result.failure.message).toBe(
      'Invalid request: "<id> <expand|shrink|rehome|resize|cancel> <deadline-ms>", ' +
        `found "\\u001b[2J\\u0000${"x".repeat(35)}…"`,
    );
  });
});

test("paths of host and guest are the same keys", () => {
  expect(NumaKeys.at(DomainId.make(3), NumaKeys.path.nodeStatus(2))).toBe(
    "/local/domain/3/numa/status/node/2",
  );
});

test("a value that xenstore could not hold is refused", () => {
  const long: typeof parsers = [NumaKeys.parseCpuList, NumaKeys.parseRequest, NumaKeys.parseState];
  for (const parse of long) expect(Result.isFailure(parse("1 ".repeat(3000)))).toBe(true);
  expect(Result.isFailure(NumaKeys.parseCpuList("0".repeat(5000)))).toBe(true);
});
