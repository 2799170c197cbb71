/** Memory of the embedded machine: none is made, none is lost, none is promised twice. */
import { expect, test } from "@jest/globals";
import { DomainId, type Guest, PcpuId, PnodeId, VcpuId, VnodeId } from "@virtflex/topo-model";
import { Result } from "effect";
import fc from "fast-check";
import type { EmbeddedConfig } from "../src/embedded/EmbeddedConfig.ts";
import { Machine, pageBytes, superpageBytes } from "../src/embedded/Machine.ts";

const mib = 1024 ** 2;
const pnodes = [0, 1, 2].map((id) => PnodeId.make(id));
const vnodes = [0, 1].map((id) => VnodeId.make(id));
const domains = [1, 2].map((id) => DomainId.make(id));
const distances = [
  [10, 21],
  [21, 10],
];

const guest = (domain: DomainId): Guest => ({
  domain,
  name: `guest-${domain}`,
  vnodes: vnodes.map((id) => ({
    id,
    pnode: PnodeId.make(id),
    vcpus: [VcpuId.make(id)],
    capacityBytes: 64 * mib,
    targetBytes: 32 * mib,
    actualBytes: 32 * mib,
    desired: "online",
  })),
  vcpus: vnodes.map((id) => ({ id: VcpuId.make(id), online: true, affinity: [PcpuId.make(id)] })),
  distances,
  limitBytes: 100 * mib,
});

const config: EmbeddedConfig = {
  host: {
    pnodes: pnodes.map((id) => ({
      id,
      pcpus: [PcpuId.make(id)],
      memoryBytes: 160 * mib,
      freeBytes: 128 * mib,
    })),
    distances: pnodes.map((from) => pnodes.map((to) => (from === to ? 10 : 20))),
  },
  guests: domains.map(guest),
};

const domain = fc.constantFrom(...domains);
const vnode = fc.constantFrom(...vnodes);
const pnode = fc.constantFrom(...pnodes);
const bytes = fc.nat({ max: 160 * mib });

type Act = (machine: Machine) => Result.Result<unknown, { readonly reason: string }>;
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.tuple(domain, vnode, bytes).map(
    ([d, v, b]): Act =>
      (m) =>
        m.populate(d, v, b),
  ),
  fc.tuple(domain, vnode, bytes).map(
    ([d, v, b]): Act =>
      (m) =>
        m.decrease(d, v, b),
  ),
  fc.tuple(domain, pnode, bytes).map(
    ([d, p, b]): Act =>
      (m) =>
        m.reserve(d, p, b),
  ),
  fc.tuple(domain, bytes).map(
    ([d, b]): Act =>
      (m) =>
        m.setLimit(d, b),
  ),
  fc.tuple(domain, vnode, pnode).map(
    ([d, v, p]): Act =>
      (m) =>
        m.moveVnode(d, v, p),
  ),
  domain.map(
    (d): Act =>
      (m) =>
        m.destroy(d),
  ),
  domain.map(
    (d): Act =>
      (m) =>
        m.create(guest(d)),
  ),
);

/** Free, reserved and held must add up on each pnode; reserved is known by what is missing. */
const ledger = (machine: Machine) =>
  machine.host.pnodes.map(({ id, freeBytes }) => ({
    id,
    freeBytes,
    heldBytes: machine.domains
      .flatMap(({ residentBytes }) => residentBytes)
      .filter((part) => part.pnode === id)
      .reduce((sum, part) => sum + part.bytes, 0),
  }));

const start = (): Machine => {
  const machine = new Machine(config);
  for (const each of config.guests) Result.getOrThrow(machine.create(each));
  return machine;
};

test("no sequence of acts makes, loses or over-promises memory", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 80 }), (acts) => {
      const machine = start();
      for (const each of acts) {
        const before = JSON.stringify([machine.host, machine.domains]);
        const answer = each(machine);
        // A refusal changes nothing.
        if (Result.isFailure(answer)) {
          expect(JSON.stringify([machine.host, machine.domains])).toBe(before);
        }
        for (const { freeBytes, heldBytes } of ledger(machine)) {
          expect(freeBytes).toBeGreaterThanOrEqual(0);
          expect(freeBytes + heldBytes).toBeLessThanOrEqual(128 * mib);
        }
        for (const info of machine.domains) {
          const resident = info.residentBytes.reduce((sum, part) => sum + part.bytes, 0);
          expect(resident).toBe(info.memoryBytes);
        }
      }
      // With every promise withdrawn, each pnode has all its memory again.
      for (const id of machine.domains.map((info) => info.domain)) {
        for (const each of pnodes) Result.getOrThrow(machine.reserve(id, each, 0));
      }
      for (const { freeBytes, heldBytes } of ledger(machine)) {
        expect(freeBytes + heldBytes).toBe(128 * mib);
      }
    }),
    { numRuns: 200 },
  );
});

test("a balloon operation answers whole pages, as many superpages as they make", () => {
  fc.assert(
    fc.property(vnode, bytes, bytes, (v, out, back) => {
      const machine = start();
      for (const done of [
        Result.getOrThrow(machine.decrease(DomainId.make(1), v, out)),
        Result.getOrThrow(machine.populate(DomainId.make(1), v, back)),
      ]) {
        expect(done.bytes).toBe(done.superpages * superpageBytes + done.smallPages * pageBytes);
        expect(done.smallPages).toBeLessThan(superpageBytes / pageBytes);
      }
    }),
  );
});

test("a limit below what is held only stops what comes in", () => {
  const machine = start();
  const id = DomainId.make(1);
  Result.getOrThrow(machine.setLimit(id, 0));
  expect(Result.getOrThrow(machine.populate(id, VnodeId.make(0), mib)).bytes).toBe(0);
  expect(Result.getOrThrow(machine.decrease(id, VnodeId.make(0), mib)).bytes).toBe(mib);
});
