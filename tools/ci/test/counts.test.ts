import { expect, test } from "@jest/globals";
import { countsOf, failuresOf } from "../src/counts.ts";

test("Jest's summary, coloured or not", () => {
  expect(countsOf("Tests:       1 failed, 2 skipped, 3 passed, 6 total\n")).toEqual({
    passed: 3,
    failed: 1,
    skipped: 2,
  });
  expect(countsOf("\u001b[1mTests:       \u001b[22m\u001b[32m7 passed\u001b[39m, 7 total")).toEqual(
    {
      passed: 7,
      failed: 0,
      skipped: 0,
    },
  );
});

test("ctest's summary, with the skipped tests taken off the passed ones", () => {
  const output = [
    "1/3 Test #1: page .............................   Passed    0.01 sec",
    "2/3 Test #2: tsan .............................***Skipped   0.00 sec",
    "3/3 Test #3: copy .............................***Failed    0.02 sec",
    "67% tests passed, 1 tests failed out of 3",
  ].join("\n");
  expect(countsOf(output)).toEqual({ passed: 1, failed: 1, skipped: 1 });
});

test("several runners add up, other lines don't count", () => {
  const output = "4 passed, 0 failed, 1 skipped\nhe said 9 passed\nTests: 2 passed, 2 total\n";
  expect(countsOf(output)).toEqual({ passed: 6, failed: 0, skipped: 1 });
});

test("failed tests are named once, whatever runner names them", () => {
  const output = [
    "  ● Console",
    "  \u001b[1m● \u001b[22mplanner › a shrink of all vnodes",
    "Summary of all failing tests",
    "  ● planner › a shrink of all vnodes",
    "The following tests FAILED:",
    "\t  3 - copy (Failed)",
    "FAIL: libgomp.c/for-1.c execution test",
    "a line with FAIL: in it",
  ].join("\n");
  expect(failuresOf(output)).toEqual([
    "planner › a shrink of all vnodes",
    "copy",
    "libgomp.c/for-1.c execution test",
  ]);
});
