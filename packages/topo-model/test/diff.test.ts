import { expect, test } from "@jest/globals";
import { Result } from "effect";
import fc from "fast-check";
import { applySteps, diff, type Difference, GiB, initialState, MiB, plan } from "../src/index.ts";
import { lowTarget, scenario, topology } from "./support/arbitraries.ts";
import { domain, guest, host, vnode } from "./support/machines.ts";

const machine = host(2, 2, [8 * GiB, 8 * GiB]);
const subject = guest(1, machine, [
  { pnode: 0, capacityBytes: 4 * GiB },
  { pnode: 1, capacityBytes: 4 * GiB },
]);
const before = { host: machine, guests: [subject] };

test("what a shrink changes", () => {
  const change = { _tag: "shrink", domain: domain(1), vnodes: [vnode(1)] } as const;
  const { steps } = Result.getOrThrow(plan(machine, [subject], change, { lowTarget }));
  const after = Result.getOrThrow(applySteps(initialState(before), steps));
  const low = after.guests[0]?.vnodes[1]?.actualBytes ?? 0;
  expect(low).toBeGreaterThan(64 * MiB);
  expect(diff(before, after)).toEqual([
    {
      _tag: "pnodeChanged",
      pnode: 1,
      changes: { freeBytes: { from: 8 * GiB, to: 12 * GiB - low } },
    },
    {
      _tag: "guestChanged",
      domain: 1,
      changes: {
        limitBytes: { from: 8 * GiB, to: 4 * GiB + low },
        targetBytes: { from: 8 * GiB, to: 4 * GiB + low },
      },
    },
    {
      _tag: "vnodeChanged",
      domain: 1,
      vnode: 1,
      changes: {
        targetBytes: { from: 4 * GiB, to: low },
        actualBytes: { from: 4 * GiB, to: low },
        desired: { from: "online", to: "offline" },
      },
    },
    { _tag: "vcpuChanged", domain: 1, vcpu: 1, changes: { online: { from: true, to: false } } },
  ]);
});

test("guests, nodes and CPUs that come and go", () => {
  const small = host(1, 2, [8 * GiB]);
  const lone = guest(1, small, [{ pnode: 0, capacityBytes: 4 * GiB }]);
  const other = guest(2, small, [{ pnode: 0, capacityBytes: 1 * GiB }]);
  const tags = (differences: ReadonlyArray<Difference>) => differences.map(({ _tag }) => _tag);
  const after = { host: small, guests: [lone, other] };
  expect(tags(diff(before, after))).toEqual([
    "pnodeRemoved",
    "hostChanged",
    "guestChanged",
    "vnodeRemoved",
    "vcpuRemoved",
    "guestAdded",
  ]);
  expect(tags(diff(after, before))).toEqual([
    "pnodeAdded",
    "hostChanged",
    "guestChanged",
    "vnodeAdded",
    "vcpuAdded",
    "guestRemoved",
  ]);
});

test("nothing differs from itself, in whatever order its lists are", () => {
  fc.assert(
    fc.property(topology, (each) => {
      const guests = each.guests.map((g) => ({ ...g, vcpus: g.vcpus.toReversed() }));
      expect(diff(each, { ...each, guests: guests.toReversed() })).toEqual([]);
    }),
  );
});

test("a plan changes something, and its difference is told both ways", () => {
  fc.assert(
    fc.property(scenario, ({ topology: start, changes }) => {
      const outcome = plan(start.host, start.guests, changes, { lowTarget });
      if (Result.isFailure(outcome)) return;
      const end = Result.getOrThrow(applySteps(initialState(start), outcome.success.steps));
      const there = diff(start, end);
      expect(there.length).toBeGreaterThan(0);
      expect(diff(end, start)).toHaveLength(there.length);
    }),
  );
});
