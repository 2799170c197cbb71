import { expect, test } from "@jest/globals";
import { costOf, costOfStep, GiB, MiB, rates, type Step } from "../src/index.ts";
import { domain, pnode, vnode } from "./support/machines.ts";

const request = (from: number, to: number): Step => ({
  _tag: "request",
  domain: domain(1),
  op: { from: "resize", to: "resize" },
  vnodes: [
    {
      vnode: vnode(1),
      pnode: { from: pnode(1), to: pnode(1) },
      targetBytes: { from, to },
      desired: { from: "online", to: "online" },
    },
  ],
});

test("ballooning in: superpages at their rate, the rest as 4 KiB pages", () => {
  const bytes = 1 * GiB + 12 * 1024;
  expect(costOfStep(request(0, bytes))).toEqual({
    bytes,
    superpages: 512,
    smallPages: 3,
    seconds: (1 * GiB) / rates.balloonIn.superpage + (12 * 1024) / rates.balloonIn.small,
  });
});

test("ballooning out: what is in use is copied first", () => {
  const { bytes, seconds } = costOfStep(request(4 * GiB, 1 * GiB));
  expect(bytes).toBe(3 * GiB);
  expect(seconds).toBeCloseTo((3 * GiB) / 3.31e9 + 3 / 136, 9);
});

test("moving: at the rate of copying superpages", () => {
  const move: Step = {
    _tag: "move",
    domain: domain(1),
    vnode: vnode(1),
    bytes: 512 * MiB,
    pnode: { from: pnode(0), to: pnode(1) },
  };
  expect(costOfStep(move).seconds).toBeCloseTo((512 * MiB) / 11.02e9, 9);
  expect(costOf([move, request(0, 2 * MiB)])).toMatchObject({
    bytes: 514 * MiB,
    superpages: 257,
    smallPages: 0,
  });
});

test("what moves no memory costs nothing", () => {
  const limit: Step = { _tag: "limit", domain: domain(1), limitBytes: { from: 0, to: 1 * GiB } };
  expect(costOf([limit])).toEqual({ bytes: 0, smallPages: 0, superpages: 0, seconds: 0 });
});
