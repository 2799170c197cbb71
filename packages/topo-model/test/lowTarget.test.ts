import { expect, test } from "@jest/globals";
import { type Guest, GiB, lowTargetBytes, MiB, VcpuId, type Vnode } from "../src/index.ts";
import { guest, host, range } from "./support/machines.ts";

const machine = host(4, 16, [0, 0, 0, 0]);
const four = (capacityBytes: number): Guest => {
  const bare = guest(
    1,
    machine,
    range(0, 4).map((pnode) => ({ pnode, capacityBytes })),
  );
  const vnodes = bare.vnodes.map((vnode, k) => ({
    ...vnode,
    vcpus: range(14 * k, 14).map((id) => VcpuId.make(id)),
  }));
  return { ...bare, vnodes };
};
const of = (subject: Guest, k: number): Vnode => {
  const vnode = subject.vnodes[k];
  if (vnode === undefined) throw new Error(`no vnode ${k}`);
  return vnode;
};

test("4 × 4 GiB × 14 vCPUs: the terms, added by hand", () => {
  const subject = four(4 * GiB);
  // min_free: √(16 × 16777216 KiB) = 16384 KiB, below 11 pageblocks × 6 zones = 132 MiB; a quarter of it is
  // 33 MiB, high = 33 + 2 × 8.25 = 49.5 MiB. memmap 64, per-CPU ⌈14 × 256 KiB⌉ = 4, unmovable 32.
  expect(lowTargetBytes(subject, of(subject, 1))).toBe(150 * MiB);
  expect(lowTargetBytes(subject, of(subject, 0))).toBe((150 + 192) * MiB);
});

test("it follows the capacity", () => {
  const low = (capacity: number) => lowTargetBytes(four(capacity), of(four(capacity), 1));
  expect(low(64 * GiB)).toBeGreaterThan(low(4 * GiB) + (64 - 4) * 16 * MiB);
});

test("it never passes the capacity", () => {
  expect(lowTargetBytes(four(64 * MiB), of(four(64 * MiB), 0))).toBe(64 * MiB);
  const empty = four(0);
  expect(lowTargetBytes(empty, of(empty, 1))).toBe(0);
});

test("it is whole superpages", () => {
  const subject = four(3 * GiB + 4096);
  expect(lowTargetBytes(subject, of(subject, 2)) % (2 * MiB)).toBe(0);
});
