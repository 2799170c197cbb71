/**
 * What every `Hypervisor` must do. The cases act on one domain, the subject, of at
 * least two vCPUs and one vnode, and leave it as they found it.
 */
import assert from "node:assert/strict";
import { DomainId, NumaKeys, PcpuId, PnodeId, VcpuId, VnodeId } from "@virtflex/topo-model";
import { Effect } from "effect";
import { type DomainInfo, Hypervisor, HypervisorError, XenStore } from "../../src/index.ts";
import type { Case } from "./Case.ts";

const sum = (values: ReadonlyArray<number>): number => values.reduce((a, b) => a + b, 0);
const residentOn = ({ residentBytes }: DomainInfo, on: PnodeId): number =>
  sum(residentBytes.filter(({ pnode }) => pnode === on).map(({ bytes }) => bytes));

const nobody = DomainId.make(0x7fee);
const mib = 1024 ** 2;

export const hypervisorCases = (subject: DomainId): ReadonlyArray<Case<XenStore | Hypervisor>> => {
  const cases: Array<Case<XenStore | Hypervisor>> = [];
  const check = <E>(
    what: string,
    body: (
      xen: Hypervisor["Service"],
      info: DomainInfo,
    ) => Effect.Effect<void, E, XenStore | Hypervisor>,
  ) => {
    cases.push({
      what,
      run: Effect.gen(function* () {
        const xen = yield* Hypervisor;
        const before = yield* xen.domain(subject);
        const free = (yield* xen.host).pnodes.map(({ freeBytes }) => freeBytes);
        yield* body(xen, before);
        // Each case cleans up after itself; if it did not, say so here.
        assert.deepStrictEqual(yield* xen.domain(subject), before);
        assert.deepStrictEqual(
          (yield* xen.host).pnodes.map(({ freeBytes }) => freeBytes),
          free,
        );
      }),
    });
  };

  const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<string, never, R> =>
    Effect.match(effect, {
      onSuccess: () => "success",
      onFailure: (error) => (error instanceof HypervisorError ? error.reason : String(error)),
    });

  const freeOn = (pnode: PnodeId) =>
    Effect.map(
      Effect.flatMap(Hypervisor, (xen) => xen.host),
      ({ pnodes }) => pnodes.find(({ id }) => id === pnode)?.freeBytes,
    );

  check("describes a host that can be", (xen) =>
    Effect.gen(function* () {
      const { pnodes, distances } = yield* xen.host;
      const pcpus = pnodes.flatMap((pnode) => pnode.pcpus);
      assert.ok(pnodes.length > 0);
      assert.strictEqual(new Set(pnodes.map(({ id }) => id)).size, pnodes.length);
      assert.strictEqual(new Set(pcpus).size, pcpus.length);
      assert.deepStrictEqual(
        distances.map((row) => row.length),
        pnodes.map(() => pnodes.length),
      );
      distances.forEach((row, from) => {
        row.forEach((distance, to) => {
          if (from === to) assert.strictEqual(distance, 10);
          else assert.ok(distance > 10);
        });
      });
      for (const { memoryBytes, freeBytes } of pnodes) {
        assert.ok(freeBytes >= 0);
        assert.ok(freeBytes <= memoryBytes);
      }
    }),
  );

  check("lists the subject as it describes it alone", (xen, info) =>
    Effect.gen(function* () {
      const domains = yield* xen.domains;
      assert.deepStrictEqual(
        domains.find(({ domain }) => domain === subject),
        info,
      );
      assert.ok(info.vcpus.length > 1);
      assert.ok(info.vnuma.length > 0);
      assert.deepStrictEqual(
        info.vnuma.flatMap(({ vcpus }) => vcpus).sort((a, b) => a - b),
        info.vcpus.map(({ id }) => id),
      );
      const resident = sum(info.residentBytes.map(({ bytes }) => bytes));
      assert.ok(resident <= info.memoryBytes);
      if (info.residentBytes.length > 0) {
        assert.ok(resident > info.memoryBytes - 4 * mib);
        assert.deepStrictEqual(
          info.residentBytes.map(({ pnode }) => pnode),
          (yield* xen.host).pnodes.map(({ id }) => id),
        );
      }
    }),
  );

  check("says what memory is wanted, and where each vCPU likes to run", (xen, info) =>
    Effect.gen(function* () {
      const store = yield* XenStore;
      const key = NumaKeys.at(subject, NumaKeys.path.memoryTarget);
      const before = yield* store.read(key);
      yield* store.write(key, "65536");
      assert.strictEqual((yield* xen.domain(subject)).targetBytes, 64 * mib);
      yield* store.write(key, "much");
      assert.strictEqual((yield* xen.domain(subject)).targetBytes, info.memoryBytes);
      yield* store.write(key, before);
      assert.deepStrictEqual(
        info.softAffinity.map(({ vcpu }) => vcpu),
        info.vcpus.map(({ id }) => id),
      );
      const all = (yield* xen.host).pnodes.flatMap(({ pcpus }) => pcpus);
      for (const { pcpus } of info.softAffinity) {
        assert.ok(pcpus.length > 0);
        assert.ok(pcpus.every((pcpu) => all.includes(pcpu)));
      }
    }),
  );

  check("knows no domain that is not", (xen) =>
    Effect.gen(function* () {
      const pnode = PnodeId.make(0);
      const outcomes = yield* Effect.all([
        reasonOf(xen.domain(nobody)),
        reasonOf(xen.setVcpusOnline(nobody, [VcpuId.make(0)], true)),
        reasonOf(xen.pinVcpus(nobody, [VcpuId.make(0)], [PcpuId.make(0)])),
        reasonOf(xen.setLimit(nobody, mib)),
        reasonOf(xen.reserve(nobody, pnode, 0)),
        reasonOf(xen.moveVnode(nobody, VnodeId.make(0), pnode)),
      ]);
      assert.deepStrictEqual(outcomes.slice(0, -1), Array(5).fill("NoSuchDomain"));
      assert.ok(["NoSuchDomain", "Unsupported"].includes(outcomes.at(-1) ?? ""));
    }),
  );

  check("brings vCPUs down and up through Xen's own key, twice the same", (xen, info) =>
    Effect.gen(function* () {
      const store = yield* XenStore;
      const vcpu = info.vcpus.at(-1)?.id ?? VcpuId.make(0);
      const key = NumaKeys.at(subject, NumaKeys.path.availability(vcpu));
      for (const online of [false, false, true, true]) {
        yield* xen.setVcpusOnline(subject, [vcpu], online);
        assert.strictEqual(yield* store.read(key), online ? "online" : "offline");
      }
    }),
  );

  check("refuses a vCPU that is not, and changes none", (xen, info) =>
    Effect.gen(function* () {
      const unknown = VcpuId.make(1023);
      const vcpus = [...info.vcpus.map(({ id }) => id), unknown];
      assert.strictEqual(yield* reasonOf(xen.setVcpusOnline(subject, vcpus, false)), "NoSuchVcpu");
      const pcpus = info.vcpus[0]?.affinity ?? [];
      assert.strictEqual(yield* reasonOf(xen.pinVcpus(subject, vcpus, pcpus)), "NoSuchVcpu");
    }),
  );

  check("pins vCPUs, twice the same, and only to pcpus that are", (xen, info) =>
    Effect.gen(function* () {
      const { pnodes } = yield* xen.host;
      const target = pnodes.flatMap(({ pcpus }) => pcpus).slice(0, 1);
      const [first] = info.vcpus;
      if (first === undefined) throw new Error("the subject has no vCPU");
      const pin = Effect.gen(function* () {
        yield* xen.pinVcpus(subject, [first.id], target);
        assert.deepStrictEqual((yield* xen.domain(subject)).vcpus[0]?.affinity, target);
      });
      yield* Effect.repeat(pin, { times: 1 });
      yield* xen.pinVcpus(subject, [first.id], first.affinity);
      const unknown = reasonOf(xen.pinVcpus(subject, [first.id], [PcpuId.make(0xffff)]));
      assert.strictEqual(yield* unknown, "Refused");
      assert.strictEqual(yield* reasonOf(xen.pinVcpus(subject, [first.id], [])), "Refused");
    }),
  );

  check("sets the limit, twice the same", (xen, info) =>
    Effect.gen(function* () {
      const limitBytes = info.limitBytes + 64 * mib;
      const raise = Effect.gen(function* () {
        yield* xen.setLimit(subject, limitBytes);
        assert.strictEqual((yield* xen.domain(subject)).limitBytes, limitBytes);
      });
      yield* Effect.repeat(raise, { times: 1 });
      yield* xen.setLimit(subject, info.limitBytes);
    }),
  );

  check("reserves exactly what is asked, and gives it back", (xen) =>
    Effect.gen(function* () {
      const { pnodes } = yield* xen.host;
      const [roomy] = [...pnodes].sort((a, b) => b.freeBytes - a.freeBytes);
      if (roomy === undefined) throw new Error("the host has no pnode");
      const { id, freeBytes } = roomy;
      assert.ok(freeBytes > 16 * mib);
      for (const bytes of [8 * mib, 8 * mib, 12 * mib, 4 * mib]) {
        yield* xen.reserve(subject, id, bytes);
        assert.strictEqual(yield* freeOn(id), freeBytes - bytes);
      }
      assert.strictEqual(yield* reasonOf(xen.reserve(subject, id, freeBytes + mib)), "NoMemory");
      assert.strictEqual(yield* freeOn(id), freeBytes - 4 * mib);
      yield* xen.reserve(subject, id, 0);
      assert.strictEqual(
        yield* reasonOf(xen.reserve(subject, PnodeId.make(0xffff), mib)),
        "NoSuchNode",
      );
    }),
  );

  check("moves a vnode there and back, or says that it can't and moves nothing", (xen, info) =>
    Effect.gen(function* () {
      const { pnodes } = yield* xen.host;
      const [vnode] = info.vnuma;
      const target = pnodes.find(({ id }) => id !== vnode?.pnode);
      if (vnode === undefined || target === undefined) throw new Error("the host has one pnode");
      const first = yield* reasonOf(xen.moveVnode(subject, vnode.id, target.id));
      assert.ok(["success", "Unsupported", "NoMemory"].includes(first));
      if (first !== "success") return;
      const now = yield* xen.domain(subject);
      assert.strictEqual(now.vnuma.find(({ id }) => id === vnode.id)?.pnode, target.id);
      if (info.residentBytes.length > 0) {
        assert.ok(residentOn(now, vnode.pnode) < residentOn(info, vnode.pnode));
        assert.ok(residentOn(now, target.id) > residentOn(info, target.id));
      }
      const back = yield* xen.moveVnode(subject, vnode.id, vnode.pnode);
      assert.ok(back.movedBytes > 0);
      assert.deepStrictEqual(yield* xen.moveVnode(subject, vnode.id, vnode.pnode), {
        movedBytes: 0,
        skippedPages: 0,
      });
    }),
  );
  return cases;
};
