/** What a guest of an embedded host may and may not do; in process and over a socket. */
import { describe, expect, test } from "@jest/globals";
import { DomainId, PnodeId, VnodeId } from "@virtflex/topo-model";
import { Effect, Fiber, type Layer, type Scope, Stream } from "effect";
import { EmbeddedHost, laptopConfig, layer } from "../src/embedded/index.ts";
import { Hypervisor, HypervisorError, XenStore, XenStoreError } from "../src/index.ts";
import { servedLayer, until } from "./served.ts";

const config = laptopConfig([0, 1]);
const domain = DomainId.make(1);
const vnode = VnodeId.make(1);
const pnode = PnodeId.make(1);
const mib = 1024 ** 2;
const gib = 1024 * mib;

type Services = XenStore | Hypervisor | EmbeddedHost;

const layers: ReadonlyArray<readonly [string, Layer.Layer<Services, unknown>]> = [
  ["in process", layer(config)],
  ["over a socket", servedLayer(config)],
];

const codeOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<string, never, R> =>
  Effect.match(effect, {
    onSuccess: () => "success",
    onFailure: (error) =>
      error instanceof XenStoreError || error instanceof HypervisorError
        ? error.code
        : String(error),
  });

const watching = (watches: number) =>
  until(
    Effect.flatMap(EmbeddedHost, ({ usage }) => usage),
    (usage) => usage.watches === watches,
  );

const memoryOf = Effect.gen(function* () {
  const xen = yield* Hypervisor;
  const { memoryBytes } = yield* xen.domain(domain);
  const free = (yield* xen.host).pnodes.map(({ freeBytes }) => freeBytes);
  return { memoryBytes, free };
});

describe.each(layers)("a guest %s", (_, host) => {
  const run = <E>(body: Effect.Effect<void, E, Services | Scope.Scope>): Promise<void> =>
    Effect.runPromise(Effect.provide(Effect.scoped(body), host));

  const asGuest = Effect.flatMap(EmbeddedHost, ({ guest }) => guest(domain));

  test("finds its tree, and may write what the contract gives it", () =>
    run(
      Effect.gen(function* () {
        const { store } = yield* asGuest;
        expect(yield* store.read("numa/version")).toBe("1");
        expect(yield* store.list("numa/node")).toEqual(["0", "1"]);
        expect(yield* store.read("numa/node/1/capacity")).toBe(String(gib / 1024));
        expect(yield* store.read("numa/node/1/target")).toBe(String(gib / 1024));
        expect(yield* store.read("numa/node/1/vcpus")).toBe("1");
        expect(yield* store.read("numa/node/1/pnode")).toBe("1");
        expect(yield* store.read("numa/node/1/desired")).toBe("online");
        expect(yield* store.read("cpu/1/availability")).toBe("online");
        yield* store.write("numa/status/state", "0 done");
        yield* store.write("numa/status/node/1", "0 offline");
        yield* store.write("control/feature-virtflex", "1");
        const dom0 = yield* XenStore;
        expect(yield* dom0.read("/local/domain/1/numa/status/state")).toBe("0 done");
        const permissions = yield* dom0.permissions("/local/domain/1/numa/status/state");
        expect(permissions).toEqual([{ domain: 1, access: "none" }]);
        expect(yield* dom0.permissions("/local/domain/1/numa/node/0/target")).toEqual([
          { domain: 0, access: "none" },
          { domain: 1, access: "read" },
        ]);
      }),
    ));

  test("may touch nothing else", () =>
    run(
      Effect.gen(function* () {
        const { store } = yield* asGuest;
        const dom0 = yield* XenStore;
        yield* dom0.write("/private/secret", "x");
        yield* dom0.write("/local/domain/9/name", "other");
        for (const path of ["numa/version", "numa/request", "numa/node/0/target", "cpu/0/new"]) {
          expect([path, yield* codeOf(store.write(path, "9"))]).toEqual([path, "XENSTORE_EACCES"]);
        }
        const others = ["/private", "/private/secret", "/private/absent", "/local/domain/9/name"];
        for (const path of others) {
          expect([path, yield* codeOf(store.read(path))]).toEqual([path, "XENSTORE_EACCES"]);
        }
        expect(yield* codeOf(store.remove("numa/node/0"))).toBe("XENSTORE_EACCES");
        const own = [{ domain: 1, access: "both" }] as const;
        expect(yield* codeOf(store.setPermissions("numa/version", own))).toBe("XENSTORE_EACCES");
        const give = [{ domain: 0, access: "none" }] as const;
        expect(yield* codeOf(store.setPermissions("numa/status", give))).toBe("XENSTORE_EPERM");
      }),
    ));

  test("is bounded in nodes, size of values, watches and transactions", () =>
    run(
      Effect.gen(function* () {
        const { store } = yield* asGuest;
        expect(yield* codeOf(store.write("data/big", "x".repeat(2048)))).toBe("XENSTORE_ENOSPC");
        const flood = Effect.forEach(
          Array.from({ length: 1200 }, (_, i) => i),
          (i) => store.write(`data/${i % 40}/${i}`, "x"),
          { discard: true },
        );
        expect(yield* codeOf(flood)).toBe("XENSTORE_ENOSPC");
        const dom0 = yield* XenStore;
        yield* dom0.write("/local/domain/1/numa/request", "1 cancel 1000");
        yield* dom0.remove("/local/domain/1/data");
        yield* dom0.write("/local/domain/1/data", "");

        const watches = yield* Effect.forEach(
          Array.from({ length: 140 }, (_, i) => i),
          (i) => Effect.forkChild(codeOf(Stream.runHead(Stream.drop(store.watch(`w/${i}`), 1)))),
        );
        const refused = Effect.sync(() =>
          watches.filter((fiber) => fiber.pollUnsafe() !== undefined),
        );
        const ended = yield* until(refused, ({ length }) => length === 140 - 129);
        for (const fiber of ended) expect(yield* Fiber.join(fiber)).toBe("XENSTORE_E2BIG");
        yield* Fiber.interruptAll(watches);

        const nested = (depth: number): Effect.Effect<void, unknown> =>
          depth === 0 ? Effect.void : store.transaction(() => nested(depth - 1));
        expect(yield* codeOf(nested(11))).toBe("success");
        expect(yield* codeOf(nested(12))).toBe("XENSTORE_ENOSPC");
      }),
    ));

  test("sees its own watches by the names that it gave, and none of what it may not read", () =>
    run(
      Effect.gen(function* () {
        const { store } = yield* asGuest;
        const dom0 = yield* XenStore;
        const everything = yield* Effect.forkChild(
          Stream.runCollect(
            Stream.takeUntil(store.watch("/"), (path) => path === "/local/domain/1/numa/request"),
          ),
        );
        const own = yield* Effect.forkChild(
          Stream.runCollect(
            Stream.takeUntil(store.watch("numa"), (path) => path === "numa/request"),
          ),
        );
        yield* watching(2);
        yield* dom0.write("/private/key", "1");
        yield* dom0.write("/local/domain/1/numa/request", "1 cancel 1000");
        expect(yield* Fiber.join(everything)).toEqual(["/", "/local/domain/1/numa/request"]);
        expect(yield* Fiber.join(own)).toEqual(["numa", "numa/request"]);
      }),
    ));

  test("balloons whole pages, superpages first, on its vnode's pnode alone", () =>
    run(
      Effect.gen(function* () {
        const guest = yield* asGuest;
        const before = yield* memoryOf;
        const bytes = 6 * mib + 3 * 4096 + 5;
        const out = yield* guest.decrease(vnode, bytes);
        expect(out).toEqual({ bytes: 6 * mib + 3 * 4096, superpages: 3, smallPages: 3 });
        expect(yield* guest.heldBytes(vnode)).toBe(gib - out.bytes);
        expect(yield* memoryOf).toEqual({
          memoryBytes: before.memoryBytes - out.bytes,
          free: [before.free[0], (before.free[1] ?? 0) + out.bytes],
        });
        // No more than its capacity, however much is free.
        expect((yield* guest.populate(vnode, gib)).bytes).toBe(out.bytes);
        expect(yield* memoryOf).toEqual(before);
        expect((yield* guest.decrease(vnode, 2 * gib)).bytes).toBe(gib);
        expect((yield* guest.populate(vnode, gib)).superpages).toBe(512);
      }),
    ));

  test("gets no more than its limit, and uses its own reservation", () =>
    run(
      Effect.gen(function* () {
        const guest = yield* asGuest;
        const xen = yield* Hypervisor;
        yield* guest.decrease(vnode, 512 * mib);
        yield* xen.setLimit(domain, 2 * gib - 256 * mib);
        expect((yield* guest.populate(vnode, gib)).bytes).toBe(256 * mib);
        yield* guest.decrease(vnode, 256 * mib);
        yield* xen.setLimit(domain, 2 * gib);

        yield* xen.reserve(domain, pnode, 300 * mib);
        yield* (yield* EmbeddedHost).leaveFree(pnode, 0);
        expect((yield* xen.host).pnodes[1]?.freeBytes).toBe(0);
        expect((yield* guest.populate(vnode, gib)).bytes).toBe(300 * mib);
        expect((yield* guest.populate(vnode, gib)).bytes).toBe(0);
        expect((yield* xen.host).pnodes[1]?.freeBytes).toBe(0);
      }),
    ));

  test("follows the availability of its vCPUs, but for vCPU 0", () =>
    run(
      Effect.gen(function* () {
        const guest = yield* asGuest;
        const xen = yield* Hypervisor;
        const { vcpus } = yield* xen.domain(domain);
        const all = vcpus.map(({ id }) => id);
        yield* xen.setVcpusOnline(domain, all, false);
        expect(yield* guest.onlineVcpus).toEqual([0]);
        expect((yield* xen.domain(domain)).vcpus.map(({ online }) => online)).toEqual([
          true,
          false,
        ]);
        yield* xen.setVcpusOnline(domain, all, true);
        expect(yield* guest.onlineVcpus).toEqual([0, 1]);
      }),
    ));

  test("does nothing while it is paused, and can be abandoned then", () =>
    run(
      Effect.gen(function* () {
        const guest = yield* asGuest;
        const host = yield* EmbeddedHost;
        yield* host.pause(domain);
        expect((yield* (yield* Hypervisor).domain(domain)).state).toBe("paused");
        const acts = [
          guest.store.write("numa/status/state", "0 done"),
          guest.store.transaction((t) => t.write("numa/status/state", "0 done")),
          Stream.runDrain(guest.store.watch("numa")),
          guest.decrease(vnode, mib),
        ];
        const fibers = yield* Effect.forEach(acts, (act) => Effect.forkChild(act));
        // Long enough that what was going to happen would have.
        yield* Effect.sleep("100 millis");
        expect(fibers.map((fiber) => fiber.pollUnsafe())).toEqual(acts.map(() => undefined));
        yield* Fiber.interruptAll(fibers);
        const late = yield* Effect.forkChild(guest.store.write("numa/status/state", "0 late"));
        yield* host.unpause(domain);
        yield* Fiber.join(late);
        expect(yield* guest.store.read("numa/status/state")).toBe("0 late");
        expect(yield* guest.heldBytes(vnode)).toBe(gib);
      }),
    ));

  test("stops half-way when it is asked to", () =>
    run(
      Effect.gen(function* () {
        const guest = yield* asGuest;
        const host = yield* EmbeddedHost;
        yield* host.pauseAfter(domain, 96 * mib);
        const fiber = yield* Effect.forkChild(
          Effect.forEach([1, 2, 3], () => guest.decrease(vnode, 64 * mib)),
        );
        const { memoryBytes } = yield* until(
          (yield* Hypervisor).domain(domain),
          ({ state }) => state === "paused",
        );
        expect(memoryBytes).toBe(2 * gib - 96 * mib);
        expect(fiber.pollUnsafe()).toBeUndefined();
        yield* host.unpause(domain);
        expect((yield* Fiber.join(fiber)).map(({ bytes }) => bytes / mib)).toEqual([64, 32, 64]);
      }),
    ));

  test("is cut off when it is destroyed, and nothing of it is left", () =>
    run(
      Effect.gen(function* () {
        const guest = yield* asGuest;
        const host = yield* EmbeddedHost;
        const dom0 = yield* XenStore;
        const cutOff = yield* Effect.forkChild(codeOf(Stream.runDrain(guest.store.watch("numa"))));
        const released = yield* Effect.forkChild(
          Stream.runCollect(Stream.take(dom0.watch("@releaseDomain"), 2)),
        );
        yield* watching(2);
        yield* host.destroyGuest(domain);
        expect(yield* Fiber.join(cutOff)).toBe("XENSTORE_EIO");
        expect((yield* Fiber.join(released)).length).toBe(2);
        expect(yield* codeOf(guest.store.read("name"))).toBe("XENSTORE_EIO");
        expect(yield* codeOf(guest.populate(vnode, mib))).toBe("HYPERVISOR_NO_SUCH_DOMAIN");
        expect(yield* dom0.list("/local/domain")).toEqual(["0"]);
        const { pnodes } = yield* (yield* Hypervisor).host;
        expect(pnodes.map(({ freeBytes }) => freeBytes)).toEqual([2 * gib, 2 * gib]);
      }),
    ));

  test("is told apart from one that is not", () =>
    run(
      Effect.gen(function* () {
        const host = yield* EmbeddedHost;
        const code = yield* codeOf(Effect.scoped(host.guest(DomainId.make(77))));
        expect(code).toBe("HYPERVISOR_NO_SUCH_DOMAIN");
      }),
    ));

  test("gives back its place in the store when it goes", () =>
    run(
      Effect.gen(function* () {
        const host = yield* EmbeddedHost;
        const before = yield* host.usage;
        yield* Effect.scoped(
          Effect.gen(function* () {
            const guest = yield* asGuest;
            yield* Effect.forkScoped(Stream.runDrain(guest.store.watch("numa")));
            yield* Effect.forkScoped(guest.store.transaction(() => Effect.never));
            yield* until(host.usage, (now) => now.watches === 1 && now.transactions === 1);
          }),
        );
        const after = yield* until(host.usage, (now) => now.connections === before.connections);
        expect(after).toEqual(before);
      }),
    ));

  test("sees a busy store as one that retries in the end get through, or not", () =>
    run(
      Effect.gen(function* () {
        const { store } = yield* asGuest;
        const host = yield* EmbeddedHost;
        yield* host.conflictNext(4);
        yield* store.transaction((t) => t.write("data/x", "1"));
        expect(yield* store.read("data/x")).toBe("1");
        yield* host.conflictNext(1000);
        expect(yield* codeOf(store.transaction((t) => t.write("data/x", "2")))).toBe(
          "XENSTORE_EAGAIN",
        );
        yield* host.conflictNext(0);
        expect(yield* store.read("data/x")).toBe("1");
      }),
    ));
});
