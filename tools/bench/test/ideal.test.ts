import { describe, expect, it } from "@jest/globals";
import { againstIdeal, pace, typical } from "../src/Ideal.ts";

describe("the ideal run", () => {
  it("has the pace of all repetitions, not of a typical one", () => {
    expect(pace([0, 100, 200, 1000])).toBeCloseTo(1000 / 3);
  });

  it("is the run itself when the pace changes with the request, and at no cost", () => {
    // 200 ms each; half of the third is done at 500 ms, what is left of it takes 50 ms.
    const { value, baseline } = againstIdeal([0, 200, 400, 550, 650], 500, {
      before: 200,
      after: 100,
    });
    expect(value).toBeCloseTo(0.65);
    expect(baseline).toBeCloseTo(0.65);
  });

  it("tells what the change cost", () => {
    const { value, baseline } = againstIdeal([0, 200, 400, 610, 710], 500, {
      before: 200,
      after: 100,
    });
    expect(value - baseline).toBeCloseTo(0.06);
  });

  it("knows the time that a program is stopped for, even if that is within a repetition", () => {
    const { value, baseline } = againstIdeal([0, 100, 200, 800, 900], 200, {
      before: 100,
      after: 100,
    });
    expect(value - baseline).toBeCloseTo(0.5);
  });

  it("is told by the run of the median ratio", () => {
    const pairs = [
      { value: 30, baseline: 10 },
      { value: 11, baseline: 10 },
      { value: 2, baseline: 1 },
    ];
    expect(typical(pairs)).toEqual({ value: 2, baseline: 1 });
  });
});
