import { expect, test } from "@jest/globals";
import { Result } from "effect";
import { applyStep, GiB, initialState, MiB, type ModelState, type Step } from "../src/index.ts";
import { domain, guest, host, pnode, vnode } from "./support/machines.ts";

const machine = host(2, 2, [1 * GiB, 2 * GiB]);
const subject = {
  ...guest(1, machine, [
    { pnode: 0, capacityBytes: 2 * GiB },
    { pnode: 1, capacityBytes: 2 * GiB, actualBytes: 1 * GiB },
  ]),
  limitBytes: 4 * GiB,
};
const start = initialState({ host: machine, guests: [subject] });

const free = (state: ModelState) => state.host.pnodes.map(({ freeBytes }) => freeBytes / GiB);
const then = (state: ModelState, step: Step) => Result.getOrThrow(applyStep(state, step));
const error = (state: ModelState, step: Step) =>
  Result.getOrThrow(Result.flip(applyStep(state, step)));

const reserve = (on: number, bytes: number): Step => ({
  _tag: "reserve",
  domain: domain(1),
  pnode: pnode(on),
  reservedBytes: { from: 0, to: bytes },
  limitBytes: 4 * GiB,
});
const request = (of: number, bytes: number): Step => ({
  _tag: "request",
  domain: domain(1),
  op: { from: "resize", to: "resize" },
  vnodes: [
    {
      vnode: vnode(of),
      pnode: { from: pnode(0), to: pnode(0) },
      targetBytes: { from: 0, to: bytes },
      desired: { from: "online", to: "online" },
    },
  ],
});
const move = (of: number, to: number): Step => ({
  _tag: "move",
  domain: domain(1),
  vnode: vnode(of),
  bytes: 0,
  pnode: { from: pnode(0), to: pnode(to) },
});

test("a reservation is set, not added to", () => {
  const once = then(start, reserve(1, 1.5 * GiB));
  expect(free(once)).toEqual([1, 0.5]);
  expect(free(then(once, reserve(1, 1 * GiB)))).toEqual([1, 1]);
  expect(then(once, reserve(1, 0))).toEqual(start);
});

test("a balloon-in takes from the reservation first", () => {
  const state = then(then(start, reserve(1, 512 * MiB)), request(1, 2 * GiB));
  expect(state.reservations).toEqual([]);
  expect(free(state)).toEqual([1, 1]);
});

test("a move takes at the new pnode and frees at the old", () => {
  const state = then(start, move(0, 1));
  expect(free(state)).toEqual([3, 0]);
  expect(then(state, move(0, 1))).toEqual(state);
});

test("what can't be done is refused by name and changes nothing", () => {
  expect(error(start, reserve(0, 2 * GiB))).toMatchObject({
    code: "NO_MEMORY",
    message: "domain 1: 2 GiB needed on pnode 0, 1 GiB free",
  });
  expect(error(start, move(1, 7)).code).toBe("UNKNOWN_PNODE");
  expect(error(start, request(7, 0)).code).toBe("UNKNOWN_VNODE");
  expect(error(start, { ...reserve(0, 0), domain: domain(9) }).code).toBe("UNKNOWN_DOMAIN");
  const tight = { ...start, guests: [{ ...subject, limitBytes: 3 * GiB }] };
  expect(error(tight, request(1, 2 * GiB)).code).toBe("ABOVE_LIMIT");
  expect(free(start)).toEqual([1, 2]);
});
