import { describe, expect, test } from "@jest/globals";
import { Result } from "effect";
import {
  applySteps,
  type Distances,
  type Guest,
  GiB,
  type Host,
  initialState,
  lowTargetBytes,
  MiB,
  PcpuId,
  type Plan,
  plan,
  type PlanOptions,
  type PlanRefused,
  type Step,
  type TopologyChange,
} from "../src/index.ts";
import { domain, flat, guest, host, pnode, vnode } from "./support/machines.ts";

const planned = (
  on: Host,
  guests: ReadonlyArray<Guest>,
  changes: TopologyChange | ReadonlyArray<TopologyChange>,
  options?: PlanOptions,
): Plan => Result.getOrThrow(plan(on, guests, changes, options));

const refused = (...[on, guests, changes, options]: Parameters<typeof planned>): PlanRefused => {
  const error = Result.getOrThrow(Result.flip(plan(on, guests, changes, options)));
  if (error._tag === "PlanRefused") return error;
  throw error;
};

const tags = ({ steps }: Plan) => steps.map(({ _tag }) => _tag);

const only = <Tag extends Step["_tag"]>(steps: ReadonlyArray<Step>, tag: Tag) =>
  steps.filter((step): step is Extract<Step, { _tag: Tag }> => step._tag === tag);

const expand = (id: number, ...vnodes: ReadonlyArray<number>): TopologyChange => ({
  _tag: "expand",
  domain: domain(id),
  vnodes: vnodes.map(vnode),
});
const shrink = (id: number, ...vnodes: ReadonlyArray<number>): TopologyChange => ({
  _tag: "shrink",
  domain: domain(id),
  vnodes: vnodes.map(vnode),
});
const rehome = (id: number, from: number, to: number): TopologyChange => ({
  _tag: "rehome",
  domain: domain(id),
  vnode: vnode(from),
  pnode: pnode(to),
});
const resize = (id: number, of: number, targetBytes: number): TopologyChange => ({
  _tag: "resize",
  domain: domain(id),
  vnode: vnode(of),
  targetBytes,
});

const roomy = host(4, 16, [16 * GiB, 16 * GiB, 16 * GiB, 16 * GiB]);
const wide = (id: number, on: Host, online: ReadonlyArray<number>): Guest =>
  guest(
    id,
    on,
    [0, 1, 2, 3].map((k) => {
      const shape = { pnode: k, capacityBytes: 4 * GiB };
      return online.includes(k) ? shape : { ...shape, online: false, actualBytes: 150 * MiB };
    }),
  );

describe("the order of steps", () => {
  test("shrink: one request for all vnodes, then vCPUs, then the limit", () => {
    const subject = wide(1, roomy, [0, 1, 2, 3]);
    const result = planned(roomy, [subject], shrink(1, 2, 3));
    expect(tags(result)).toEqual(["request", "vcpus", "limit"]);
    const freed = 2 * 4 * GiB - 2 * 148 * MiB;
    expect(result.steps).toMatchObject([
      {
        op: { from: "expand", to: "shrink" },
        vnodes: [
          {
            vnode: 2,
            desired: { from: "online", to: "offline" },
            targetBytes: { from: 4 * GiB, to: 148 * MiB },
          },
          { vnode: 3 },
        ],
      },
      { vcpus: [2, 3], online: { from: true, to: false } },
      { limitBytes: { from: 16 * GiB, to: 16 * GiB - freed } },
    ]);
    expect(result.cost.bytes).toBe(freed);
  });

  test("a guest that claims more than a pnode has keeps no other from its change", () => {
    const small = host(4, 16, [4 * GiB, 4 * GiB, 4 * GiB, 4 * GiB]);
    const [subject, liar] = [wide(1, small, [0, 1, 2, 3]), wide(2, small, [0, 1, 2, 3])];
    expect(tags(planned(small, [subject, liar], shrink(1, 2)))).toContain("request");
  });

  test("expand: memory is set aside and allowed before the guest is asked", () => {
    const subject = wide(1, roomy, [0, 1]);
    const result = planned(roomy, [subject], expand(1, 2, 3));
    expect(tags(result)).toEqual([
      "reserve",
      "reserve",
      "limit",
      "vcpus",
      "request",
      "reserve",
      "reserve",
    ]);
    expect(result.steps[0]).toMatchObject({
      pnode: 2,
      reservedBytes: { from: 0, to: 4 * GiB - 150 * MiB },
    });
  });

  test("vCPUs that may run anywhere are pinned to their vnode's pnode; a finer affinity stays", () => {
    const subject = wide(1, roomy, [0, 1]);
    const everywhere = roomy.pnodes.flatMap(({ pcpus }) => pcpus);
    const affinities = [[], [], everywhere, [PcpuId.make(49), PcpuId.make(50)]];
    const vcpus = subject.vcpus.map((vcpu, k) => ({
      ...vcpu,
      affinity: k < 2 ? vcpu.affinity : (affinities[k] ?? []),
    }));
    const { steps } = planned(roomy, [{ ...subject, vcpus }], expand(1, 2, 3));
    expect(only(steps, "pin")).toEqual([
      {
        _tag: "pin",
        domain: 1,
        vcpus: [2],
        pcpus: { from: everywhere, to: roomy.pnodes[2]?.pcpus },
      },
    ]);
  });

  test("vCPUs that are as they shall be get no step", () => {
    const subject = wide(1, roomy, [0, 1]);
    const vcpus = subject.vcpus.map((vcpu) => ({ ...vcpu, online: true }));
    expect(tags(planned(roomy, [{ ...subject, vcpus }], expand(1, 2)))).not.toContain("vcpus");
  });

  test("rehome: set aside, move, pin, then tell the guest", () => {
    const result = planned(roomy, [wide(1, roomy, [0, 1, 2, 3])], rehome(1, 3, 0));
    expect(tags(result)).toEqual(["reserve", "move", "pin", "request", "reserve"]);
    expect(result.steps[3]).toMatchObject({
      op: { from: "rehome", to: "rehome" },
      vnodes: [{ vnode: 3, pnode: { from: 3, to: 0 }, desired: { from: "online", to: "online" } }],
    });
  });

  test("resize follows memory: down lowers the limit last, up raises it first", () => {
    const subject = wide(1, roomy, [0, 1, 2, 3]);
    const down = planned(roomy, [subject], resize(1, 1, 2 * GiB));
    expect(tags(down)).toEqual(["request", "limit"]);
    const half = guest(1, roomy, [{ pnode: 0, capacityBytes: 4 * GiB, actualBytes: 2 * GiB }]);
    const up = planned(roomy, [half], resize(1, 0, 3 * GiB));
    expect(tags(up)).toEqual(["reserve", "limit", "request", "reserve"]);
  });

  test("where two guests meet on a pnode, one shrinks before the other expands", () => {
    const full = host(4, 16, [0, 0, 0, 0]);
    const guests = [wide(1, full, [0, 1]), wide(2, full, [0, 1, 2, 3])];
    expect(refused(full, guests, expand(1, 3)).code).toBe("NO_MEMORY");
    const { steps } = planned(full, guests, [expand(1, 3), shrink(2, 3)]);
    const requests = only(steps, "request");
    expect(requests.map((step) => [step.domain, step.op.to])).toEqual([
      [2, "shrink"],
      [1, "expand"],
    ]);
  });

  test("what the limit holds above the targets is kept", () => {
    const subject = { ...wide(1, roomy, [0, 1, 2, 3]), limitBytes: 16 * GiB + 1 * MiB };
    const away = planned(roomy, [subject], shrink(1, 3));
    const start = initialState({ host: roomy, guests: [subject] });
    const after = Result.getOrThrow(applySteps(start, away.steps));
    const back = planned(after.host, after.guests, expand(1, 3));
    const end = Result.getOrThrow(applySteps(after, back.steps));
    expect(end.guests[0]?.limitBytes).toBe(16 * GiB + 1 * MiB);
  });
});

describe("the choice of a pnode", () => {
  // Two packages of two nodes: 0 1 | 2 3.
  const packages = [
    [10, 16, 32, 32],
    [16, 10, 32, 32],
    [32, 32, 10, 16],
    [32, 32, 16, 10],
  ];
  const on = (free: ReadonlyArray<number>, distances: Distances = packages): Host => ({
    ...host(
      4,
      4,
      free.map((n) => n * GiB),
    ),
    distances,
  });
  /** Vnode 0 on pnode 0 is online; vnode 1, offline, is backed by pnode 3. */
  const subject = (machine: Host): Guest =>
    guest(1, machine, [
      { pnode: 0, capacityBytes: 4 * GiB },
      { pnode: 3, capacityBytes: 4 * GiB, online: false, actualBytes: 150 * MiB },
    ]);
  const chosen = (machine: Host): number | undefined => {
    const { steps } = planned(machine, [subject(machine)], expand(1, 1), { allowOtherPnode: true });
    const request = steps.find(({ _tag }) => _tag === "request");
    return request?._tag === "request" ? request.vnodes[0]?.pnode.to : undefined;
  };

  test("its own pnode when that has room, however far", () => {
    expect(chosen(on([9, 9, 9, 9]))).toBe(3);
  });
  test("else the nearest to the guest's other online vnodes", () => {
    expect(chosen(on([9, 5, 9, 0]))).toBe(1);
  });
  test("else, at one distance, the one with the most free memory", () => {
    expect(chosen(on([0, 6, 7, 0], flat(4)))).toBe(2);
    expect(chosen(on([0, 7, 6, 0], flat(4)))).toBe(1);
  });
  test("in an asymmetric matrix both directions count", () => {
    const skew = [
      [10, 12, 20, 20],
      [90, 10, 20, 20],
      [20, 20, 10, 20],
      [20, 20, 20, 10],
    ];
    expect(chosen(on([0, 9, 9, 0], skew))).toBe(2);
  });
  test("a pnode that the guest uses already comes last, but comes", () => {
    expect(chosen(on([9, 0, 0, 0]))).toBe(0);
  });
  test("never one without pcpus", () => {
    const machine = on([0, 9, 9, 0]);
    const pnodes = machine.pnodes.map((p) => (p.id === 1 ? { ...p, pcpus: [] } : p));
    expect(chosen({ ...machine, pnodes })).toBe(2);
  });
  test("what the vnode kept is moved along before the guest balloons in", () => {
    const machine = on([9, 5, 9, 0]);
    const result = planned(machine, [subject(machine)], expand(1, 1), { allowOtherPnode: true });
    expect(tags(result)).toEqual([
      "reserve",
      "move",
      "reserve",
      "reserve",
      "limit",
      "pin",
      "vcpus",
      "request",
      "reserve",
    ]);
    expect(result.cost.bytes).toBe(4 * GiB);
  });
  test("not another pnode unless that is allowed", () => {
    const machine = on([9, 5, 9, 0]);
    const error = refused(machine, [subject(machine)], expand(1, 1));
    expect(error).toMatchObject({
      code: "NO_MEMORY",
      field: "changes[0].vnodes[0]",
      shortages: [{ pnode: 3, neededBytes: 4 * GiB - 150 * MiB, freeBytes: 0 }],
    });
    expect(error.message).toBe(
      "changes[0].vnodes[0]: pnode 3 lacks 3.85 GiB: 3.85 GiB needed, 0 B free",
    );
  });
  test("a first choice that leaves no room for the second vnode is taken back", () => {
    // Both home pnodes are full. Vnode 1 (2 GiB) would take pnode 1, which alone fits vnode 2 (4 GiB).
    const machine = on([0, 4, 2, 0]);
    const two = guest(1, machine, [
      { pnode: 0, capacityBytes: 4 * GiB },
      { pnode: 3, capacityBytes: 2 * GiB, online: false, actualBytes: 100 * MiB },
      { pnode: 3, capacityBytes: 4 * GiB, online: false, actualBytes: 100 * MiB },
    ]);
    const { steps } = planned(machine, [two], expand(1, 1, 2), { allowOtherPnode: true });
    const moves = only(steps, "move");
    expect(moves).toMatchObject([
      { vnode: 1, pnode: { to: 2 } },
      { vnode: 2, pnode: { to: 1 } },
    ]);
  });
});

describe("making room", () => {
  /** Domain 1 wants vnode 1 on pnode 1, where domains 2 and 3 have 1 and 3 GiB. */
  const on = (...free: ReadonlyArray<number>) =>
    host(
      4,
      4,
      free.map((n) => n * GiB),
    );
  const guests = (machine: Host): ReadonlyArray<Guest> => [
    guest(1, machine, [
      { pnode: 0, capacityBytes: 2 * GiB },
      { pnode: 1, capacityBytes: 2 * GiB, online: false, actualBytes: 0 },
    ]),
    guest(2, machine, [
      { pnode: 1, capacityBytes: 1 * GiB },
      { pnode: 2, capacityBytes: 1 * GiB },
    ]),
    guest(3, machine, [{ pnode: 1, capacityBytes: 3 * GiB }]),
  ];
  const all = [1, 2, 3].map(domain);
  const changes = (machine: Host, makeRoom = all) =>
    planned(machine, guests(machine), expand(1, 1), { makeRoom }).changes;

  test("nothing moves where there is memory, or unless it may", () => {
    expect(changes(on(9, 2, 9, 9))).toEqual([expand(1, 1)]);
    const machine = on(9, 1, 9, 9);
    expect(refused(machine, guests(machine), expand(1, 1)).code).toBe("NO_MEMORY");
    expect(changes(machine, [domain(3)])).toEqual([expand(1, 1), rehome(3, 0, 0)]);
  });
  test("the smallest vnode that is enough goes, to a pnode that its guest does not use", () => {
    expect(changes(on(1, 1, 9, 4))).toEqual([expand(1, 1), rehome(2, 0, 3)]);
    expect(changes(on(0, 1, 9, 0))).toEqual([expand(1, 1), rehome(2, 0, 2)]);
    expect(changes(on(9, 0, 9, 4))).toEqual([expand(1, 1), rehome(3, 0, 0)]);
  });
  test("what makes room moves with its vCPUs before the guest that wants it balloons in", () => {
    const machine = on(9, 1, 9, 9);
    const { steps } = planned(machine, guests(machine), expand(1, 1), { makeRoom: all });
    const [move] = only(steps, "move");
    expect(move).toMatchObject({ domain: 2, vnode: 0, pnode: { from: 1 } });
    expect(steps.filter(({ domain: of }) => of === 2).map(({ _tag }) => _tag)).toEqual([
      "reserve",
      "move",
      "pin",
      "request",
      "reserve",
    ]);
    expect(steps.findIndex(({ domain: of }) => of === 1)).toBe(5);
  });
  test("a vnode that goes to a full pnode has room made for it, too", () => {
    const machine = on(9, 1, 9, 9);
    const result = planned(machine, guests(machine), rehome(1, 0, 1), { makeRoom: all });
    // What left pnode 0 counts as free there.
    expect(result.changes).toEqual([rehome(1, 0, 1), rehome(2, 0, 0)]);
  });
  test("where no pnode has room for them the refusal is that of the change itself", () => {
    const machine = on(0, 1, 0, 0);
    const options = { makeRoom: all };
    const alone = refused(machine, guests(machine), expand(1, 1));
    expect(refused(machine, guests(machine), expand(1, 1), options)).toEqual(alone);
    // Both would have to go, and there is room for one.
    const tight = on(0, 0, 0, 1);
    expect(refused(tight, guests(tight), expand(1, 1), options).code).toBe("NO_MEMORY");
  });
});

describe("vnodes that move against each other", () => {
  const couple = (machine: Host): ReadonlyArray<Guest> => [
    guest(1, machine, [{ pnode: 0, capacityBytes: 2 * GiB }]),
    guest(2, machine, [{ pnode: 1, capacityBytes: 2 * GiB }]),
  ];
  const exchange = [rehome(1, 0, 1), rehome(2, 0, 0)];

  test("go in the order in which there is room", () => {
    const machine = host(3, 2, [0, 0, 2 * GiB]);
    const { steps } = planned(machine, couple(machine), [rehome(1, 0, 1), rehome(2, 0, 2)]);
    const moves = only(steps, "move");
    expect(moves.map((step) => step.domain)).toEqual([2, 1]);
  });
  test("go by a third pnode when two full ones exchange", () => {
    const machine = host(3, 2, [0, 0, 2 * GiB]);
    const { steps } = planned(machine, couple(machine), exchange);
    const moves = only(steps, "move");
    expect(moves.map((step) => [step.pnode.from, step.pnode.to])).toEqual([
      [0, 2],
      [1, 0],
      [2, 1],
    ]);
    expect(only(steps, "request")).toHaveLength(2);
  });
  test("are refused when no pnode has room for the detour", () => {
    const machine = host(3, 2, [0, 0, 1 * GiB]);
    expect(refused(machine, couple(machine), exchange)).toMatchObject({
      code: "NO_ORDER",
      shortages: [{ pnode: 1, neededBytes: 2 * GiB, freeBytes: 0 }, { pnode: 0 }],
    });
  });
  test("a search without end is ended and says so", () => {
    // 24 vnodes of odd sizes that just don't fit into what four pnodes have free.
    const machine = host(
      5,
      2,
      [0, 1, 1, 1, 1].map((n) => n * 4410 * MiB),
    );
    const shapes = Array.from({ length: 24 }, (_, k) => ({
      pnode: 0,
      capacityBytes: (512 + 38 * k) * MiB,
      online: false,
      actualBytes: 100 * MiB,
    }));
    const many = guest(1, machine, [{ pnode: 0, capacityBytes: 1 * GiB }, ...shapes]);
    const all = expand(1, ...shapes.map((_, k) => k + 1));
    expect(refused(machine, [many], all, { allowOtherPnode: true })).toMatchObject({
      code: "SEARCH_BOUND",
      shortages: [{ pnode: 0 }],
    });
  });
});

describe("refusals", () => {
  const machine = host(
    4,
    16,
    [16, 16, 16, 16].map((n) => n * GiB),
  );
  const subject = wide(1, machine, [0, 1, 2]);
  const low = (k: number) => {
    const found = subject.vnodes[k];
    return found === undefined ? 0 : lowTargetBytes(subject, found);
  };

  test.each<[string, string, TopologyChange | ReadonlyArray<TopologyChange>]>([
    ["NOTHING_TO_DO", "changes", []],
    ["NOTHING_TO_DO", "changes[0].vnodes", shrink(1)],
    ["UNKNOWN_DOMAIN", "changes[0].domain", shrink(9, 1)],
    ["UNKNOWN_VNODE", "changes[0].vnodes[1]", shrink(1, 1, 7)],
    ["UNKNOWN_VNODE", "changes[0].vnode", resize(1, 7, 1 * GiB)],
    ["UNKNOWN_PNODE", "changes[0].pnode", rehome(1, 1, 7)],
    ["NAMED_TWICE", "changes[0].vnodes[1]", shrink(1, 2, 2)],
    ["NAMED_TWICE", "changes[1].vnodes[0]", [rehome(1, 2, 1), shrink(1, 2)]],
    ["LAST_VNODE", "changes[0].vnodes[0]", shrink(1, 0, 1, 2)],
    ["HOME_VNODE", "changes[0].vnodes[1]", shrink(1, 1, 0)],
    ["ALREADY_ONLINE", "changes[0].vnodes[0]", expand(1, 2)],
    ["ALREADY_OFFLINE", "changes[0].vnodes[0]", shrink(1, 3)],
    ["NOT_ONLINE", "changes[0].vnode", resize(1, 3, 1 * GiB)],
    ["ALREADY_AT_TARGET", "changes[0].targetBytes", resize(1, 1, 4 * GiB)],
    ["ALREADY_ON_PNODE", "changes[0].pnode", rehome(1, 1, 1)],
    ["ABOVE_CAPACITY", "changes[0].targetBytes", resize(1, 1, 4 * GiB + 2 * MiB)],
    ["BELOW_LOW_TARGET", "changes[0].targetBytes", resize(1, 1, low(1) - 2 * MiB)],
    ["NOT_SUPERPAGES", "changes[0].targetBytes", resize(1, 1, 2 * GiB + 4096)],
  ])("%s at %s", (code, field, changes) => {
    const error = refused(machine, [subject], changes);
    expect(error.message.startsWith(`${field}: `)).toBe(true);
    expect([error.code, error.field]).toEqual([code, field]);
    expect(error.shortages).toEqual([]);
  });

  test("NO_PCPUS: vCPUs can't follow to a pnode that has memory only", () => {
    const pnodes = machine.pnodes.map((p) => (p.id === 3 ? { ...p, pcpus: [] } : p));
    const two = guest(1, machine, [
      { pnode: 0, capacityBytes: 4 * GiB },
      { pnode: 1, capacityBytes: 4 * GiB },
    ]);
    const error = refused({ ...machine, pnodes }, [two], rehome(1, 1, 3));
    expect([error.code, error.field]).toEqual(["NO_PCPUS", "changes[0].pnode"]);
  });

  test("every pnode that lacks memory is named", () => {
    const tight = host(
      4,
      16,
      [0, 0, 1, 2].map((n) => n * GiB),
    );
    const error = refused(tight, [wide(1, tight, [0, 1])], expand(1, 2, 3));
    expect(error.shortages.map((each) => [each.pnode, each.freeBytes])).toEqual([
      [2, 1 * GiB],
      [3, 2 * GiB],
    ]);
    expect(error.detail).toContain("pnode 2 lacks 2.85 GiB");
    expect(error.detail).toContain("pnode 3 lacks 1.85 GiB");
  });

  test("a host that can't exist is not planned on", () => {
    const outcome = plan({ ...machine, distances: [] }, [subject], shrink(1, 2));
    expect(Result.isFailure(outcome) && outcome.failure).toMatchObject({
      _tag: "InvalidTopology",
      code: "DISTANCE_SHAPE",
    });
  });
});
