import { expect, test } from "@jest/globals";
import { Result } from "effect";
import fc from "fast-check";
import {
  applyStep,
  applySteps,
  type DomainId,
  initialState,
  inverse,
  lowTargetBytes,
  type ModelState,
  type Plan,
  plan,
  type Step,
  validate,
  type Vnode,
} from "../src/index.ts";
import { lowTarget, type Scenario, scenario } from "./support/arbitraries.ts";
import { canBeDone } from "./support/bruteForce.ts";

const runs = { numRuns: 300 };

const planOf = (
  { topology, changes, allowOtherPnode }: Scenario,
  makeRoom: ReadonlyArray<DomainId> = [],
) => plan(topology.host, topology.guests, changes, { allowOtherPnode, lowTarget, makeRoom });

/** Free + reserved + held on each pnode; fails when any of them is negative. */
const memoryOf = ({ host, guests, reservations }: ModelState): ReadonlyArray<number> =>
  host.pnodes.map(({ id, freeBytes }) => {
    const held = guests.flatMap(({ vnodes }) =>
      vnodes.filter(({ pnode }) => pnode === id).map(({ actualBytes }) => actualBytes),
    );
    const reserved = reservations.filter(({ pnode }) => pnode === id).map(({ bytes }) => bytes);
    const parts = [freeBytes, ...held, ...reserved];
    expect(Math.min(...parts)).toBeGreaterThanOrEqual(0);
    return parts.reduce((sum, bytes) => sum + bytes, 0);
  });

/** All states that the steps go through, first and last included. */
const statesOf = (start: ModelState, steps: ReadonlyArray<Step>): ReadonlyArray<ModelState> => {
  const states = [start];
  let state = start;
  for (const step of steps) {
    state = Result.getOrThrow(applyStep(state, step));
    states.push(state);
  }
  return states;
};

/** Plans of what there is memory for, and of what there is memory for once vnodes that nobody named make room. */
const forPlans = (check: (scenario: Scenario, plan: Plan) => void) => {
  let [planned, roomier] = [0, 0];
  fc.assert(
    fc.property(scenario, (each) => {
      const outcome = planOf(each);
      if (Result.isFailure(outcome)) return;
      planned++;
      check(each, outcome.success);
    }),
    runs,
  );
  fc.assert(
    fc.property(scenario, (each) => {
      if (Result.isSuccess(planOf(each))) return;
      const all = each.topology.guests.map(({ domain }) => domain);
      const outcome = planOf(each, all);
      if (Result.isFailure(outcome)) return;
      roomier++;
      check(each, outcome.success);
    }),
    { numRuns: 1000 },
  );
  // Otherwise the property would hold of nothing.
  expect(planned).toBeGreaterThan(runs.numRuns / 4);
  expect(roomier).toBeGreaterThan(0);
};

test("the generated topologies are sound", () => {
  fc.assert(
    fc.property(scenario, ({ topology }) => {
      expect(validate(topology)).toEqual(Result.succeed(topology));
    }),
    runs,
  );
});

test("applying a plan reaches what was asked for, and touches nothing else", () => {
  forPlans(({ topology, allowOtherPnode }, { changes, steps }) => {
    const end = Result.getOrThrow(applySteps(initialState(topology), steps));
    expect(end.reservations).toEqual([]);
    for (const [g, before] of topology.guests.entries()) {
      const after = end.guests[g];
      if (after === undefined) throw new Error("a guest is gone");
      const growth = (list: ReadonlyArray<Vnode>) =>
        list.reduce((sum, { targetBytes }) => sum + targetBytes, 0);
      expect(after.limitBytes - growth(after.vnodes)).toBe(
        before.limitBytes - growth(before.vnodes),
      );
      if (before.targetBytes === undefined) expect(after.targetBytes).toBeUndefined();
      else {
        expect((after.targetBytes ?? Number.NaN) - growth(after.vnodes)).toBe(
          before.targetBytes - growth(before.vnodes),
        );
      }
      for (const [v, old] of before.vnodes.entries()) {
        const change = changes.find(
          (each) =>
            each.domain === before.domain &&
            ("vnodes" in each ? each.vnodes.includes(old.id) : each.vnode === old.id),
        );
        const wanted = { ...old };
        const sized = (bytes: number) => {
          Object.assign(wanted, { targetBytes: bytes, actualBytes: bytes });
        };
        if (change?._tag === "expand") sized(old.capacityBytes);
        if (change?._tag === "shrink") sized(lowTargetBytes(before, old, lowTarget));
        if (change?._tag === "resize") sized(change.targetBytes);
        if (change?._tag === "expand") wanted.desired = "online";
        if (change?._tag === "shrink") wanted.desired = "offline";
        if (change?._tag === "rehome") wanted.pnode = change.pnode;
        const got = after.vnodes[v];
        if (change?._tag === "expand" && allowOtherPnode) wanted.pnode = got?.pnode ?? wanted.pnode;
        expect(got).toEqual(wanted);
        const inside = topology.host.pnodes.find(({ id }) => id === wanted.pnode)?.pcpus ?? [];
        for (const id of old.vcpus) {
          const was = before.vcpus.find((vcpu) => vcpu.id === id);
          const is = after.vcpus.find((vcpu) => vcpu.id === id);
          expect(is?.online).toBe(wanted.desired === "online");
          const follows = change?._tag === "expand" || change?._tag === "rehome";
          if (follows && inside.length > 0) {
            expect(is?.affinity.every((pcpu) => inside.includes(pcpu))).toBe(true);
          } else expect(is?.affinity).toEqual(was?.affinity);
        }
      }
    }
  });
});

test("memory is conserved at every step, and no pnode ever lacks any", () => {
  forPlans(({ topology }, { steps }) => {
    const start = initialState(topology);
    const states = statesOf(start, steps);
    const last = states.at(-1) ?? start;
    for (const state of [...states, ...statesOf(last, steps.toReversed().map(inverse))]) {
      expect(memoryOf(state)).toEqual(memoryOf(start));
    }
  });
});

test("the inverses of any number of steps return to the start", () => {
  forPlans(({ topology }, { steps }) => {
    const start = initialState(topology);
    for (const [done, state] of statesOf(start, steps).entries()) {
      const back = steps.slice(0, done).toReversed().map(inverse);
      const end = Result.getOrThrow(applySteps(state, back));
      expect(end).toEqual(start);
    }
  });
});

test("a step twice is a step once", () => {
  forPlans(({ topology }, { steps }) => {
    const states = statesOf(initialState(topology), steps);
    for (const [i, step] of steps.entries()) {
      // A reservation that was consumed can be asked for anew; that is what it is for.
      if (step._tag === "reserve") continue;
      const once = states[i + 1];
      if (once === undefined) throw new Error("no state");
      expect(Result.getOrThrow(applyStep(once, step))).toEqual(once);
    }
  });
});

test("each step names the value that it finds", () => {
  forPlans(({ topology }, { steps }) => {
    const states = statesOf(initialState(topology), steps);
    for (const [i, step] of steps.entries()) {
      const state = states[i];
      const guest = state?.guests.find(({ domain }) => domain === step.domain);
      const of = (id: number) => guest?.vnodes.find((vnode) => vnode.id === id);
      switch (step._tag) {
        case "reserve": {
          const held = state?.reservations.find(
            ({ domain, pnode }) => domain === step.domain && pnode === step.pnode,
          );
          expect(held?.bytes ?? 0).toBe(step.reservedBytes.from);
          expect(guest?.limitBytes).toBe(step.limitBytes);
          break;
        }
        case "limit":
          expect(guest?.limitBytes).toBe(step.limitBytes.from);
          break;
        case "move":
          expect(of(step.vnode)?.pnode).toBe(step.pnode.from);
          expect(of(step.vnode)?.actualBytes).toBe(step.bytes);
          break;
        case "request":
          if (step.targetBytes) expect(guest?.targetBytes).toBe(step.targetBytes.from);
          for (const part of step.vnodes) {
            expect(of(part.vnode)?.targetBytes).toBe(part.targetBytes.from);
            expect(of(part.vnode)?.desired).toBe(part.desired.from);
            expect(of(part.vnode)?.pnode).toBe(part.pnode.to);
          }
          break;
        case "pin":
        case "vcpus":
          for (const id of step.vcpus) {
            const vcpu = guest?.vcpus.find((each) => each.id === id);
            if (step._tag === "pin") expect(vcpu?.affinity).toEqual(step.pcpus.from);
            else expect(vcpu?.online).toBe(step.online.from);
          }
      }
    }
  });
});

test("a refused change is impossible, and a possible one is planned", () => {
  const refusals = new Set<string>();
  fc.assert(
    fc.property(scenario, (each) => {
      const outcome = planOf(each);
      if (Result.isSuccess(outcome)) {
        expect(canBeDone(each)).toBe(true);
        return;
      }
      const error = outcome.failure;
      refusals.add(error.code);
      if (error._tag !== "PlanRefused") throw error;
      if (error.code !== "NO_MEMORY" && error.code !== "NO_ORDER") return;
      expect(canBeDone(each)).toBe(false);
      expect(error.shortages.length).toBeGreaterThan(0);
      for (const { neededBytes, freeBytes } of error.shortages) {
        expect(neededBytes).toBeGreaterThan(freeBytes);
      }
    }),
    { numRuns: 1000 },
  );
  expect(refusals).toContain("NO_MEMORY");
  expect(refusals).not.toContain("SEARCH_BOUND");
});
