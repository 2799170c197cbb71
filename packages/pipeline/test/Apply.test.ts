import { expect, test } from "@jest/globals";
import { inverse, NumaKeys, PnodeId, VnodeId } from "@virtflex/topo-model";
import { Hypervisor, XenStore } from "@virtflex/xen-control";
import { EmbeddedHost } from "@virtflex/xen-control/embedded";
import { Effect, Exit, Fiber, Layer, type Scope, Stream } from "effect";
import { TestClock } from "effect/testing";
import {
  apply,
  applyStream,
  ChangeFailed,
  type Controller,
  openChanges,
  type Progress,
} from "../src/index.ts";
import {
  domain,
  everything,
  gib,
  hostLayer,
  lowBytes,
  obedient,
  recorder,
  runGuest,
  type Scripted,
  shrinkPlan,
  strangerLayer,
} from "./support.ts";

const run = <A, E>(
  effect: Effect.Effect<A, E, XenStore | Hypervisor | EmbeddedHost | Controller | Scope.Scope>,
) => Effect.runPromise(effect.pipe(Effect.scoped, Effect.provide(hostLayer)));

const runTimed = <A, E>(
  effect: Effect.Effect<A, E, XenStore | Hypervisor | EmbeddedHost | Controller | Scope.Scope>,
) =>
  Effect.runPromise(
    effect.pipe(Effect.scoped, Effect.provide(Layer.merge(hostLayer, TestClock.layer()))),
  );

const silently = { deadline: "2 seconds", onProgress: () => Effect.void } as const;

const failureOf = <A, R>(effect: Effect.Effect<A, unknown, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    expect(error).toBeInstanceOf(ChangeFailed);
    return error as ChangeFailed;
  });

test("a plan is applied, told step by step, and leaves no journal", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      const { onProgress, all } = yield* recorder;
      yield* apply(shrinkPlan, { deadline: "2 seconds", onProgress });
      const { host, info } = yield* everything;
      expect(info.memoryBytes).toBe(3 * gib + lowBytes);
      expect(info.limitBytes).toBe(3 * gib + lowBytes);
      expect(info.targetBytes).toBe(3 * gib + lowBytes);
      expect(info.vcpus.map(({ online }) => online)).toEqual([true, true, true, false]);
      expect(host.pnodes[3]?.freeBytes).toBe(2 * gib - lowBytes);
      expect(yield* openChanges).toEqual({ changes: [], damaged: [] });

      const told = yield* all;
      const tags = told.map(({ _tag, index }) => `${index} ${_tag}`);
      expect(tags).toEqual([
        "0 StepStarted",
        "0 StepProgress",
        "0 StepDone",
        "1 StepStarted",
        "1 StepDone",
        "2 StepStarted",
        "2 StepDone",
      ]);
      const progress = told.find(({ _tag }) => _tag === "StepProgress");
      expect(progress).toMatchObject({
        request: 1,
        state: "done",
        vnodes: [{ vnode: 3, targetBytes: lowBytes, actualBytes: lowBytes, state: "offline" }],
      });
    }),
  ));

test("a plan that is applied twice is applied once", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      yield* apply(shrinkPlan, silently);
      const once = yield* everything;
      yield* apply(shrinkPlan, silently);
      expect(yield* everything).toEqual(once);
    }),
  ));

test("request ids rise, and the request is written with what it asks for", () =>
  run(
    Effect.gen(function* () {
      const store = yield* XenStore;
      yield* store.write(NumaKeys.at(domain, NumaKeys.path.request), "41 expand 1000");
      yield* runGuest((scripted) =>
        scripted.request.id === 41 ? Effect.void : obedient(scripted),
      );
      yield* apply(shrinkPlan, silently);
      const read = (key: string) => store.read(NumaKeys.at(domain, key));
      expect(yield* read(NumaKeys.path.request)).toMatch(/^42 shrink (1\d\d\d|2000)$/);
      expect(yield* read(NumaKeys.path.target(3))).toBe(String(lowBytes / 1024));
      expect(yield* read(NumaKeys.path.desired(3))).toBe("offline");
    }),
  ));

test("what the domain should hold in all follows when the guest is done, forth and back", () =>
  run(
    Effect.gen(function* () {
      const seen: Array<string> = [];
      yield* runGuest((scripted) =>
        scripted.store.read(NumaKeys.path.memoryTarget).pipe(
          Effect.orDie,
          Effect.tap((target) => Effect.sync(() => seen.push(target))),
          Effect.andThen(obedient(scripted)),
        ),
      );
      const target = Effect.map(everything, ({ info }) => info.targetBytes);
      yield* apply(shrinkPlan, silently);
      const [full, shrunk] = [4 * gib, 3 * gib + lowBytes];
      expect(yield* target).toBe(shrunk);
      const steps = shrinkPlan.steps.toReversed().map(inverse);
      yield* apply({ ...shrinkPlan, steps }, silently);
      expect(yield* target).toBe(full);
      expect(seen).toEqual([full, shrunk].map(NumaKeys.printKib));
    }),
  ));

test("a domain of a toolstack that doesn't say what it should hold in all", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      const store = yield* XenStore;
      const key = NumaKeys.at(domain, NumaKeys.path.memoryTarget);
      yield* store.remove(key);
      yield* apply(shrinkPlan, silently);
      expect(yield* Effect.flip(store.read(key))).toMatchObject({ errno: "ENOENT" });
    }),
  ));

const unchanged = <E, R>(change: Effect.Effect<ChangeFailed, E, R>) =>
  Effect.gen(function* () {
    const before = yield* everything;
    const failed = yield* change;
    expect(yield* everything).toEqual(before);
    const store = yield* XenStore;
    const read = (key: string) => store.read(NumaKeys.at(domain, key));
    expect(yield* read(NumaKeys.path.target(3))).toBe(String(gib / 1024));
    expect(yield* read(NumaKeys.path.desired(3))).toBe("online");
    expect(failed.rollback.left).toEqual([]);
    expect(failed.rolledBack).toBe(true);
    expect(yield* openChanges).toEqual({ changes: [], damaged: [] });
    return failed;
  });

test("a guest that refuses: everything is as before", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(({ request, say }) => say({ id: request.id, state: "failed", code: "busy" }));
      const failed = yield* unchanged(failureOf(apply(shrinkPlan, silently)));
      expect(failed.code).toBe("GUEST_REFUSED");
      expect(failed.message).toContain("busy");
      expect(failed.rollback.undone).toEqual([0]);
    }),
  ));

/** A guest that does half of the first request and can't go back. */
const strays = ({ request, say, comply }: Scripted) =>
  request.id === 1
    ? Effect.andThen(comply, say({ id: request.id, state: "failed", code: "restore" }))
    : Effect.andThen(comply, say({ id: request.id, state: "done" }));

test("a guest that could not go back is asked for the state before", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(strays);
      const failed = yield* unchanged(failureOf(apply(shrinkPlan, silently)));
      expect(failed.message).toContain("restore");
    }),
  ));

test("a guest that could not go back, and no longer listens: what is left is said", () =>
  run(
    Effect.gen(function* () {
      const store = yield* XenStore;
      const feature = NumaKeys.at(domain, NumaKeys.path.feature);
      yield* runGuest((scripted) =>
        scripted.request.id === 1
          ? Effect.andThen(Effect.orDie(store.write(feature, "0")), strays(scripted))
          : strays(scripted),
      );
      const failed = yield* failureOf(apply(shrinkPlan, silently));
      expect(failed.rollback.left).toMatchObject([{ index: 0, error: { reason: "restore" } }]);
      expect(failed.rolledBack).toBe(false);
    }),
  ));

test("a later step fails: what the guest had done is asked back", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      const plan = {
        ...shrinkPlan,
        steps: [
          ...shrinkPlan.steps.slice(0, 2),
          { _tag: "limit", domain, limitBytes: { from: 4 * gib, to: gib } } as const,
        ],
      };
      const failed = yield* unchanged(failureOf(apply(plan, silently)));
      expect(failed.code).toBe("MEMORY_KEPT");
      expect(failed.index).toBe(2);
      expect(failed.rollback.undone).toEqual([2, 1, 0]);
    }),
  ));

test("a plan from before another change is refused, and nothing is done", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      const hypervisor = yield* Hypervisor;
      const store = yield* XenStore;
      const stale = Effect.fnUntraced(function* (what: string) {
        const before = yield* everything;
        const error = yield* Effect.flip(apply(shrinkPlan, silently));
        expect(error).toMatchObject({ code: "PLAN_STALE", domain, what });
        expect(yield* everything).toEqual(before);
        expect(yield* openChanges).toEqual({ changes: [], damaged: [] });
      });
      // As another change may leave it, be it to where this one goes, too.
      for (const limitBytes of [5 * gib, 3 * gib + lowBytes]) {
        yield* hypervisor.setLimit(domain, limitBytes);
        yield* stale("memory limit");
      }
      yield* hypervisor.setLimit(domain, 4 * gib);
      yield* store.write(NumaKeys.at(domain, NumaKeys.path.desired(VnodeId.make(3))), "offline");
      yield* stale("state of vnode 3");
      yield* store.write(NumaKeys.at(domain, NumaKeys.path.desired(VnodeId.make(3))), "online");
      yield* apply(shrinkPlan, silently);
    }),
  ));

test("a guest that has come as near to its target as it has to", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      const limitBytes = { from: 4 * gib, to: 3 * gib + lowBytes - NumaKeys.toleranceBytes };
      const plan = {
        ...shrinkPlan,
        steps: [...shrinkPlan.steps.slice(0, 2), { _tag: "limit", domain, limitBytes } as const],
      };
      yield* apply(plan, silently);
      expect((yield* everything).info.limitBytes).toBe(limitBytes.to);
    }),
  ));

test("a guest that says done and is not", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(({ request, report, say, comply }) =>
        request.id === 1
          ? report(3, gib, "offline").pipe(Effect.andThen(say({ id: request.id, state: "done" })))
          : Effect.andThen(comply, say({ id: request.id, state: "done" })),
      );
      const failed = yield* unchanged(failureOf(apply(shrinkPlan, silently)));
      expect(failed.error).toMatchObject({ code: "TARGET_MISSED", vnode: 3, actualBytes: gib });
    }),
  ));

test("a guest that lies about its memory is found out by the hypervisor", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(({ request, report, say }) =>
        report(
          3,
          request.op === "shrink" ? lowBytes : gib,
          request.op === "shrink" ? "offline" : "online",
        ).pipe(Effect.andThen(say({ id: request.id, state: "done" }))),
      );
      const failed = yield* unchanged(failureOf(apply(shrinkPlan, silently)));
      expect(failed.code).toBe("MEMORY_KEPT");
    }),
  ));

/** Moves the clock in small steps until the fiber ends. */
const throughTime = <A, E>(fiber: Fiber.Fiber<A, E>, limitMs: number) =>
  Effect.gen(function* () {
    for (let ms = 0; ms < limitMs && fiber.pollUnsafe() === undefined; ms += 50) {
      yield* TestClock.adjust(50);
      for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow;
    }
    return yield* Fiber.join(fiber);
  });

test("a guest that never answers: cancelled at the deadline, undone after the grace", () =>
  runTimed(
    Effect.gen(function* () {
      const host = yield* EmbeddedHost;
      yield* runGuest(obedient);
      for (let turn = 0; turn < 20; turn++) yield* Effect.yieldNow;
      yield* host.pause(domain);
      const store = yield* XenStore;
      const before = yield* everything;
      const fiber = yield* Effect.forkChild(
        Effect.flip(
          apply(shrinkPlan, { deadline: 1000, grace: 500, onProgress: () => Effect.void }),
        ),
      );
      const failed = (yield* throughTime(fiber, 2000)) as ChangeFailed;
      expect(failed.error).toMatchObject({ code: "DEADLINE_PASSED", deadlineMs: 1000 });
      expect(failed.rollback).toEqual({ undone: [0], left: [] });
      expect(yield* everything).toEqual(before);
      const request = yield* store.read(NumaKeys.at(domain, NumaKeys.path.request));
      expect(request).toBe("1 cancel 500");
    }),
  ));

test("a guest that stops half-way: the host takes back its side and says what is left", () =>
  runTimed(
    Effect.gen(function* () {
      yield* runGuest(({ request, say }) =>
        request.op === "cancel" ? Effect.void : say({ id: request.id, state: "evacuating" }),
      );
      const fiber = yield* Effect.forkChild(
        Effect.flip(
          apply(shrinkPlan, { deadline: 1000, grace: 500, onProgress: () => Effect.void }),
        ),
      );
      const failed = (yield* throughTime(fiber, 2000)) as ChangeFailed;
      expect(failed.code).toBe("DEADLINE_PASSED");
      expect(failed.rolledBack).toBe(false);
      expect(failed.rollback.left).toMatchObject([{ index: 0, error: { code: "GUEST_SILENT" } }]);
      const store = yield* XenStore;
      const read = (key: string) => store.read(NumaKeys.at(domain, key));
      expect(yield* read(NumaKeys.path.desired(3))).toBe("online");
      expect(yield* openChanges).toEqual({ changes: [], damaged: [] });
    }),
  ));

test("a guest that cancels in time: everything is as before", () =>
  runTimed(
    Effect.gen(function* () {
      yield* runGuest(({ request, say }) =>
        say({ id: request.id, state: request.op === "cancel" ? "cancelled" : "evacuating" }),
      );
      const fiber = yield* Effect.forkChild(
        unchanged(
          failureOf(
            apply(shrinkPlan, { deadline: 1000, grace: 500, onProgress: () => Effect.void }),
          ),
        ),
      );
      expect((yield* throughTime(fiber, 2000)).code).toBe("DEADLINE_PASSED");
    }),
  ));

test("interruption waits for the rollback", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(({ request, say }) =>
        say({ id: request.id, state: request.op === "cancel" ? "cancelled" : "evacuating" }),
      );
      const before = yield* everything;
      const { onProgress, all } = yield* recorder;
      const fiber = yield* Effect.forkChild(
        apply(shrinkPlan, { deadline: "1 minute", onProgress }),
      );
      yield* Effect.sleep(20);
      expect(fiber.pollUnsafe()).toBeUndefined();
      yield* Fiber.interrupt(fiber);
      expect(yield* everything).toEqual(before);
      expect(yield* openChanges).toEqual({ changes: [], damaged: [] });
      const told = yield* all;
      expect(told).toContainEqual(
        expect.objectContaining({ _tag: "StepFailed", direction: "apply", code: "INTERRUPTED" }),
      );
      expect(told.at(-1)).toMatchObject({ _tag: "StepDone", direction: "undo", index: 0 });
    }),
  ));

test("a domain that is destroyed in the middle: a typed failure, its memory returned", () =>
  run(
    Effect.gen(function* () {
      const host = yield* EmbeddedHost;
      const hypervisor = yield* Hypervisor;
      yield* runGuest(({ request, say }) => say({ id: request.id, state: "evacuating" }));
      const reserve = {
        _tag: "reserve",
        domain,
        pnode: PnodeId.make(3),
        reservedBytes: { from: 0, to: gib / 2 },
        limitBytes: 4 * gib,
      } as const;
      const plan = { ...shrinkPlan, steps: [reserve, ...shrinkPlan.steps] };
      const fiber = yield* Effect.forkChild(failureOf(apply(plan, silently)));
      yield* Effect.sleep(20);
      yield* host.destroyGuest(domain);
      const failed = yield* Fiber.join(fiber);
      expect(failed.error).toMatchObject({ code: "DOMAIN_GONE", domain });
      expect(failed.rollback.left).toEqual([]);
      const { pnodes } = yield* hypervisor.host;
      expect(pnodes.map(({ freeBytes }) => freeBytes)).toEqual(pnodes.map(() => 2 * gib));
      const store = yield* XenStore;
      const error = yield* Effect.flip(store.read(NumaKeys.domainPath(domain)));
      expect(error).toMatchObject({ errno: "ENOENT" });
    }),
  ));

test("a domain that is destroyed as the request is written: nothing brings its directory back", () =>
  run(
    Effect.gen(function* () {
      const host = yield* EmbeddedHost;
      const store = yield* XenStore;
      yield* runGuest(() => Effect.void);
      const late = XenStore.of({
        ...store,
        write: (path, value) =>
          path === NumaKeys.at(domain, NumaKeys.path.request)
            ? Effect.andThen(Effect.orDie(host.destroyGuest(domain)), store.write(path, value))
            : store.write(path, value),
      });
      const failed = yield* failureOf(apply(shrinkPlan, silently)).pipe(
        Effect.provideService(XenStore, late),
      );
      expect(failed.error).toMatchObject({ code: "DOMAIN_GONE", domain });
      expect(failed.rollback.left).toEqual([]);
      const error = yield* Effect.flip(store.read(NumaKeys.domainPath(domain)));
      expect(error).toMatchObject({ errno: "ENOENT" });
      expect(yield* openChanges).toEqual({ changes: [], damaged: [] });
    }),
  ));

test("two changes at once: the second is refused and the first goes on", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest((scripted) => Effect.andThen(Effect.sleep(50), obedient(scripted)));
      const first = yield* Effect.forkChild(apply(shrinkPlan, silently));
      yield* Effect.sleep(10);
      const second = yield* Effect.flip(apply(shrinkPlan, silently)).pipe(
        Effect.provide(strangerLayer),
      );
      expect(second).toMatchObject({ code: "CHANGE_IN_PROGRESS", domain });
      expect((second as Error).message).toContain("process 4711");
      yield* Fiber.join(first);
    }),
  ));

test("many changes at once: exactly one goes on, whatever the store answers", () =>
  run(
    Effect.gen(function* () {
      const host = yield* EmbeddedHost;
      yield* runGuest((scripted) => Effect.andThen(Effect.sleep(50), obedient(scripted)));
      yield* host.conflictNext(3);
      const exits = yield* Effect.all(
        Array.from({ length: 8 }, () => Effect.exit(apply(shrinkPlan, silently))),
        { concurrency: "unbounded" },
      );
      expect(exits.filter(Exit.isSuccess)).toHaveLength(1);
    }),
  ));

test("a guest without the guest side is refused before anything is written", () =>
  run(
    Effect.gen(function* () {
      const error = yield* Effect.flip(apply(shrinkPlan, silently));
      expect(error).toMatchObject({ code: "GUEST_UNAWARE", domain });
      const store = yield* XenStore;
      const request = store.read(NumaKeys.at(domain, NumaKeys.path.request));
      expect(yield* Effect.flip(request)).toMatchObject({ errno: "ENOENT" });
    }),
  ));

const hostile: ReadonlyArray<
  readonly [what: string, act: (scripted: Scripted) => Effect.Effect<void>]
> = [
  ["an answer to another request", ({ say }) => say({ id: 99, state: "done" })],
  ["an answer to no request", ({ say }) => say({ id: 0, state: "failed", code: "internal" })],
  ["no grammar", ({ store }) => Effect.orDie(store.write(NumaKeys.path.state, "1 done please"))],
  ["signs", ({ store }) => Effect.orDie(store.write(NumaKeys.path.state, "+1 done"))],
  ["length", ({ store }) => Effect.orDie(store.write(NumaKeys.path.state, "1".repeat(2000)))],
  ["emptiness", ({ store }) => Effect.orDie(store.write(NumaKeys.path.state, ""))],
  ["a directory", ({ store }) => Effect.orDie(store.write(`${NumaKeys.path.state}/x`, "1 done"))],
  [
    "noise",
    ({ store }) =>
      Effect.forEach(
        Array.from({ length: 500 }, (_, n) => String(n)),
        (name) => Effect.orDie(store.write(`${NumaKeys.path.status}/noise`, name)),
        { discard: true },
      ),
  ],
  [
    "going back",
    ({ request, say }) =>
      say({ id: request.id, state: "settling" }).pipe(
        Effect.andThen(Effect.sleep(10)),
        Effect.andThen(say({ id: request.id, state: "accepted" })),
      ),
  ],
];

test.each(hostile)("hostile status is as good as not written: %s", (_, act) =>
  run(
    Effect.gen(function* () {
      yield* runGuest((scripted) =>
        act(scripted).pipe(Effect.andThen(Effect.sleep(30)), Effect.andThen(obedient(scripted))),
      );
      const { onProgress, all } = yield* recorder;
      yield* apply(shrinkPlan, { deadline: "5 seconds", onProgress });
      const states = (yield* all).flatMap((told) =>
        told._tag === "StepProgress" ? [told.state] : [],
      );
      expect(["done", "settling done"]).toContain(states.join(" "));
    }),
  ),
);

test("a stream that is left early rolls back", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(({ request, say }) =>
        say({ id: request.id, state: request.op === "cancel" ? "cancelled" : "evacuating" }),
      );
      const before = yield* everything;
      const told = yield* applyStream(shrinkPlan, { deadline: "1 minute" }).pipe(
        Stream.takeUntil(({ _tag }) => _tag === "StepProgress"),
        Stream.runCollect,
      );
      expect(told.map(({ _tag }) => _tag)).toEqual(["StepStarted", "StepProgress"]);
      expect(yield* everything).toEqual(before);
      expect(yield* openChanges).toEqual({ changes: [], damaged: [] });
    }),
  ));

test("a stream tells everything, then fails as apply does", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(({ request, say }) => say({ id: request.id, state: "failed", code: "busy" }));
      const told: Array<Progress> = [];
      const error = yield* applyStream(shrinkPlan, { deadline: "1 minute" }).pipe(
        Stream.runForEach((progress) => Effect.sync(() => told.push(progress))),
        Effect.flip,
      );
      expect(error).toMatchObject({ code: "GUEST_REFUSED" });
      expect(told.at(-1)).toMatchObject({ _tag: "StepDone", direction: "undo" });
    }),
  ));
