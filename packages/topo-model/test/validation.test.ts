import { expect, test } from "@jest/globals";
import { Result } from "effect";
import {
  GiB,
  type Guest,
  type Host,
  MiB,
  PcpuId,
  problemsOf,
  type Topology,
  validate,
  VcpuId,
  type Vnode,
} from "../src/index.ts";
import { domain, flat, guest, host, pnode, vnode } from "./support/machines.ts";

const machine = host(2, 2, [8 * GiB, 8 * GiB], 16 * GiB);
const subject = guest(1, machine, [
  { pnode: 0, capacityBytes: 4 * GiB },
  { pnode: 1, capacityBytes: 4 * GiB },
]);
const sound: Topology = { host: machine, guests: [subject] };

const withHost = (change: Partial<Host>): Topology => ({
  ...sound,
  host: { ...machine, ...change },
});
const withPnode = (at: number, change: Partial<Host["pnodes"][number]>): Topology =>
  withHost({ pnodes: machine.pnodes.map((p, i) => (i === at ? { ...p, ...change } : p)) });
const withGuest = (change: Partial<Guest>): Topology => ({
  ...sound,
  guests: [{ ...subject, ...change }],
});
const withVnode = (at: number, change: Partial<Vnode>): Topology =>
  withGuest({ vnodes: subject.vnodes.map((v, i) => (i === at ? { ...v, ...change } : v)) });
const vcpu = (id: number) => VcpuId.make(id);

test("a sound topology has no problem", () => {
  expect(problemsOf(sound)).toEqual([]);
  expect(validate(sound)).toEqual(Result.succeed(sound));
});

test.each<[string, string, Topology]>([
  ["NO_PNODE", "host.pnodes", { host: { pnodes: [], distances: [] }, guests: [] }],
  ["DUPLICATE_PNODE", "host.pnodes[1].id", { ...withPnode(1, { id: pnode(0) }), guests: [] }],
  [
    "DUPLICATE_PCPU",
    "host.pnodes[1].pcpus[1]",
    withPnode(1, { pcpus: [2, 1, 3].map((n) => PcpuId.make(n)) }),
  ],
  [
    "DUPLICATE_PCPU",
    "host.pnodes[0].pcpus[2]",
    withPnode(0, { pcpus: [0, 1, 1].map((n) => PcpuId.make(n)) }),
  ],
  ["DISTANCE_SHAPE", "host.distances", withHost({ distances: [[10, 20]] })],
  ["DISTANCE_SHAPE", "host.distances[1]", withHost({ distances: [[10, 20], [20]] })],
  [
    "DISTANCE_SHAPE",
    "host.distances[0]",
    withHost({
      distances: [
        [10, 20, 20],
        [20, 10],
      ],
    }),
  ],
  [
    "DISTANCE_DIAGONAL",
    "host.distances[1][1]",
    withHost({
      distances: [
        [10, 20],
        [20, 11],
      ],
    }),
  ],
  [
    "DISTANCE_RANGE",
    "host.distances[1][0]",
    withHost({
      distances: [
        [10, 20],
        [10, 10],
      ],
    }),
  ],
  [
    "DISTANCE_RANGE",
    "host.distances[0][1]",
    withHost({
      distances: [
        [10, 256],
        [20, 10],
      ],
    }),
  ],
  ["FREE_ABOVE_MEMORY", "host.pnodes[0].freeBytes", withPnode(0, { freeBytes: 17 * GiB })],
  [
    "RESIDENT_ABOVE_MEMORY",
    "host.pnodes[1].memoryBytes",
    withPnode(1, { memoryBytes: 3 * GiB, freeBytes: 0 }),
  ],
  ["DUPLICATE_DOMAIN", "guests[1].domain", { ...sound, guests: [subject, subject] }],
  ["DUPLICATE_VNODE", "guests[0].vnodes[1].id", withVnode(1, { id: vnode(0) })],
  ["VNODE_RANGE", "guests[0].vnodes[1].id", withVnode(1, { id: vnode(64) })],
  ["UNKNOWN_PNODE", "guests[0].vnodes[1].pnode", withVnode(1, { pnode: pnode(2) })],
  [
    "TARGET_ABOVE_CAPACITY",
    "guests[0].vnodes[0].targetBytes",
    withVnode(0, { targetBytes: 5 * GiB }),
  ],
  [
    "ACTUAL_ABOVE_CAPACITY",
    "guests[0].vnodes[0].actualBytes",
    withVnode(0, { actualBytes: 5 * GiB }),
  ],
  ["DUPLICATE_VCPU", "guests[0].vnodes[1].vcpus[1]", withVnode(1, { vcpus: [vcpu(1), vcpu(0)] })],
  [
    "DUPLICATE_VCPU",
    "guests[0].vcpus[2].id",
    withGuest({ vcpus: [...subject.vcpus, ...subject.vcpus.slice(0, 1)] }),
  ],
  [
    "VCPU_RANGE",
    "guests[0].vcpus[2].id",
    withGuest({
      vcpus: [...subject.vcpus, { id: vcpu(1024), online: true, affinity: [PcpuId.make(0)] }],
    }),
  ],
  ["UNKNOWN_VCPU", "guests[0].vnodes[1].vcpus[1]", withVnode(1, { vcpus: [vcpu(1), vcpu(2)] })],
  [
    "NO_AFFINITY",
    "guests[0].vcpus[1].affinity",
    withGuest({
      vcpus: subject.vcpus.map((each, i) => (i === 1 ? { ...each, affinity: [] } : each)),
    }),
  ],
  [
    "UNKNOWN_PCPU",
    "guests[0].vcpus[1].affinity[0]",
    withGuest({
      vcpus: subject.vcpus.map((each, i) =>
        i === 1 ? { ...each, affinity: [PcpuId.make(9)] } : each,
      ),
    }),
  ],
  ["NO_HOME_VNODE", "guests[0].vnodes", withVnode(0, { vcpus: [] })],
  ["HOME_VNODE_OFFLINE", "guests[0].vnodes[0].desired", withVnode(0, { desired: "offline" })],
  ["DISTANCE_SHAPE", "guests[0].distances", withGuest({ distances: flat(1) })],
  [
    "DISTANCE_RANGE",
    "guests[0].distances[0][1]",
    withGuest({
      distances: [
        [10, 0],
        [20, 10],
      ],
    }),
  ],
])("%s at %s", (code, field, topology) => {
  const problem = problemsOf(topology).find((each) => each.field === field);
  expect(problem?.code).toBe(code);
  const outcome = validate(topology);
  if (Result.isSuccess(outcome)) throw new Error("not refused");
  expect(outcome.failure.code).toBe(problemsOf(topology)[0]?.code);
  expect(outcome.failure.message).toContain(`${field}: ${problem?.detail ?? "?"}`);
});

test("an asymmetric distance matrix is legal, and so is an unreachable node", () => {
  expect(
    problemsOf(
      withHost({
        distances: [
          [10, 255],
          [11, 10],
        ],
      }),
    ),
  ).toEqual([]);
});

test("a guest without virtual NUMA is legal", () => {
  const plain = { ...subject, domain: domain(2), vnodes: [], distances: [], limitBytes: 64 * MiB };
  expect(problemsOf({ ...sound, guests: [subject, plain] })).toEqual([]);
});

test("every problem is reported, not only the first", () => {
  const both = withHost({
    distances: [
      [10, 5],
      [5, 10],
    ],
  });
  expect(problemsOf(both).map(({ field }) => field)).toEqual([
    "host.distances[0][1]",
    "host.distances[1][0]",
  ]);
});
