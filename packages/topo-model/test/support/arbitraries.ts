/** Small hosts, guests and requests at random: some can be done, some can't. */
import fc from "fast-check";
import type { Guest, Topology, TopologyChange, Vcpu, Vnode } from "../../src/index.ts";
import { lowTargetBytes, MiB, PcpuId, VcpuId } from "../../src/index.ts";
import { domain, flat, host, pnode, range, vnode } from "./machines.ts";

const unit = 256 * MiB;

/** What a kernel keeps, small enough for the small machines here. */
export const lowTarget = { unmovableBytes: 0, homeBytes: 0 };

interface VnodeSeed {
  readonly pnode: number;
  readonly units: number;
  readonly state: "full" | "part" | "offline";
  readonly pinned: boolean;
}

const vnodeSeed = (pnodes: number): fc.Arbitrary<VnodeSeed> =>
  fc.record({
    pnode: fc.nat(pnodes - 1),
    units: fc.integer({ min: 1, max: 6 }),
    state: fc.constantFrom("full", "offline", "part"),
    pinned: fc.boolean(),
  });

const guestOf = (
  id: number,
  seeds: ReadonlyArray<VnodeSeed>,
  slackUnits: number,
  stockUnits: number | undefined,
  pcpusOf: (pnode: number) => ReadonlyArray<number>,
): Guest => {
  const ids = seeds.map((_, k) => [VcpuId.make(2 * k), VcpuId.make(2 * k + 1)]);
  const bare = seeds.map((seed, k): Vnode => ({
    id: vnode(k),
    pnode: pnode(seed.pnode),
    vcpus: ids[k] ?? [],
    capacityBytes: seed.units * unit,
    targetBytes: 0,
    actualBytes: 0,
    desired: k === 0 || seed.state !== "offline" ? "online" : "offline",
  }));
  const all = range(0, 8).flatMap(pcpusOf);
  const vcpus = seeds.flatMap((seed, k) =>
    (ids[k] ?? []).map((vcpu): Vcpu => {
      const own = pcpusOf(seed.pnode);
      const affinity = seed.pinned && own.length > 0 ? own : all;
      return {
        id: vcpu,
        online: bare[k]?.desired === "online",
        affinity: affinity.map((pcpu) => PcpuId.make(pcpu)),
      };
    }),
  );
  const draft: Guest = {
    domain: domain(id),
    name: `guest${id}`,
    vnodes: bare,
    vcpus,
    distances: flat(seeds.length),
    limitBytes: 0,
  };
  const vnodes = bare.map((each, k): Vnode => {
    const low = lowTargetBytes(draft, each, lowTarget);
    const part = Math.max(low, each.capacityBytes - 64 * MiB);
    const state = seeds[k]?.state;
    const bytes = each.desired === "offline" ? low : state === "part" ? part : each.capacityBytes;
    return { ...each, targetBytes: bytes, actualBytes: bytes };
  });
  const held = vnodes.reduce((sum, each) => sum + each.actualBytes, 0);
  return {
    ...draft,
    vnodes,
    limitBytes: held + slackUnits * MiB,
    ...(stockUnits !== undefined && { targetBytes: Math.max(0, held - stockUnits * MiB) }),
  };
};

export const topology: fc.Arbitrary<Topology> = fc.integer({ min: 1, max: 3 }).chain((pnodes) =>
  fc
    .record({
      free: fc.array(fc.integer({ min: 0, max: 8 }), { minLength: pnodes, maxLength: pnodes }),
      withoutPcpus: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined, freq: 3 }),
      slackUnits: fc.integer({ min: 0, max: 4 }),
      // What the guest's own balloon has.
      stockUnits: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined, freq: 3 }),
      guests: fc.array(fc.array(vnodeSeed(pnodes), { minLength: 1, maxLength: 3 }), {
        minLength: 1,
        maxLength: 2,
      }),
    })
    .map(({ free, withoutPcpus, slackUnits, stockUnits, guests }): Topology => {
      const bytes = free.map((n) => (n * unit) / 2);
      const empty = host(pnodes, 2, bytes);
      const machine = {
        ...empty,
        pnodes: empty.pnodes.map((p) => (p.id === withoutPcpus ? { ...p, pcpus: [] } : p)),
      };
      const pcpusOf = (id: number) => machine.pnodes.find((p) => p.id === id)?.pcpus ?? [];
      return {
        host: machine,
        guests: guests.map((seeds, k) => guestOf(k + 1, seeds, slackUnits, stockUnits, pcpusOf)),
      };
    }),
);

/** Changes that name existing vnodes, each at most once; not all of them make sense. */
export const changesOf = ({ host: on, guests }: Topology): fc.Arbitrary<Array<TopologyChange>> => {
  const all = guests.flatMap((guest) => guest.vnodes.map((each) => ({ guest, vnode: each })));
  return fc
    .record({
      picked: fc.shuffledSubarray(all, { minLength: 1, maxLength: Math.min(4, all.length) }),
      dice: fc.array(fc.nat(99), { minLength: 4, maxLength: 4 }),
    })
    .map(({ picked, dice }) =>
      picked.map(({ guest, vnode: each }, k): TopologyChange => {
        const die = dice[k] ?? 0;
        const common = { domain: guest.domain };
        const to = pnode(
          (each.pnode + 1 + (die % Math.max(1, on.pnodes.length - 1))) % on.pnodes.length,
        );
        if (die < 35 && to !== each.pnode) {
          return { _tag: "rehome", ...common, vnode: each.id, pnode: to };
        }
        if (each.desired === "offline") return { _tag: "expand", ...common, vnodes: [each.id] };
        if (die < 70 && each.id !== 0) return { _tag: "shrink", ...common, vnodes: [each.id] };
        const targetBytes =
          each.targetBytes === each.capacityBytes
            ? Math.max(each.capacityBytes - 32 * MiB, lowTargetBytes(guest, each, lowTarget))
            : each.capacityBytes;
        return { _tag: "resize", ...common, vnode: each.id, targetBytes };
      }),
    );
};

export interface Scenario {
  readonly topology: Topology;
  readonly changes: ReadonlyArray<TopologyChange>;
  readonly allowOtherPnode: boolean;
}

export const scenario: fc.Arbitrary<Scenario> = topology.chain((start) =>
  fc.record({
    topology: fc.constant(start),
    changes: changesOf(start),
    allowOtherPnode: fc.boolean(),
  }),
);
