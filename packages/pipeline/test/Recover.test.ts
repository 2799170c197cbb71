import { expect, test } from "@jest/globals";
import { NodeServices } from "@effect/platform-node";
import { DomainId, NumaKeys, PnodeId, type Step } from "@virtflex/topo-model";
import { Hypervisor, XenStore } from "@virtflex/xen-control";
import { type EmbeddedHost, layer as embeddedLayer } from "@virtflex/xen-control/embedded";
import { Effect, Layer, type Scope } from "effect";
import { apply, Controller, openChanges, prepare, recover } from "../src/index.ts";
import { perform } from "../src/Interpreter.ts";
import * as Journal from "../src/Journal.ts";
import {
  config,
  controllerLayer,
  domain,
  everything,
  gib,
  lowBytes,
  obedient,
  runGuest,
  self,
  shrinkPlan,
} from "./support.ts";

const run = <A, E>(
  effect: Effect.Effect<A, E, XenStore | Hypervisor | EmbeddedHost | Scope.Scope>,
) => Effect.runPromise(effect.pipe(Effect.scoped, Effect.provide(embeddedLayer(config))));

/** Another process, which finds every controller but itself as the test says. */
const successor = (liveness: "alive" | "gone" | "unknown", own = 5000) =>
  Effect.provide(
    Layer.succeed(
      Controller,
      Controller.of({
        self: { ...self, pid: own },
        liveness: ({ pid }) => Effect.succeed(pid === own ? "alive" : liveness),
      }),
    ),
  );

const silent = () => Effect.void;
const limits = { deadlineMs: 2000, graceMs: 500 };

/** A controller that dies when `begun` steps were begun, the last of them done or not. */
const killed = Effect.fnUntraced(function* (
  begun: number,
  lastDone: boolean,
  steps: ReadonlyArray<Step> = shrinkPlan.steps,
) {
  const { opened = "" } = yield* Journal.open([domain], steps);
  for (const [index, step] of steps.slice(0, begun).entries()) {
    yield* Journal.begin(opened, index + 1);
    if (lastDone || index < begun - 1) yield* perform(step, 2000, silent);
  }
}, Effect.provide(controllerLayer()));

const deaths = [0, 1, 2, 3].flatMap((begun) => [
  { begun, lastDone: false },
  { begun, lastDone: true },
]);

test.each(deaths)("a controller died, $begun steps begun, the last done: $lastDone", (death) =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      const before = yield* everything;
      yield* killed(death.begun, death.lastDone);
      expect((yield* openChanges.pipe(successor("gone"))).changes).toMatchObject([
        { domains: [domain], begun: death.begun, controllerIs: "gone" },
      ]);
      const recovered = yield* recover({ limits, onProgress: silent }).pipe(successor("gone"));
      expect(recovered).toMatchObject([{ domains: [domain], rollback: { left: [] } }]);
      expect(yield* everything).toEqual(before);
      expect(yield* openChanges.pipe(successor("gone"))).toEqual({ changes: [], damaged: [] });
    }),
  ),
);

/** The host's keys of the vnode that the plan takes. */
const hostKeys = Effect.gen(function* () {
  const store = yield* XenStore;
  const { pnode, target, desired } = NumaKeys.path;
  return yield* Effect.forEach([pnode(3), target(3), desired(3)], (key) =>
    store.read(NumaKeys.at(domain, key)),
  );
});

test.each([0, 1, 2, 3])("a controller died, %i of the keys of its request written", (written) =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      const before = [yield* hostKeys, yield* everything];
      const store = yield* XenStore;
      let left = written;
      const dying = XenStore.of({
        ...store,
        write: (path, value) =>
          path.startsWith(NumaKeys.at(domain, "numa/")) && left-- <= 0
            ? Effect.die("killed")
            : store.write(path, value),
      });
      yield* killed(1, true).pipe(Effect.provideService(XenStore, dying), Effect.exit);
      const request = store.read(NumaKeys.at(domain, NumaKeys.path.request));
      expect(yield* Effect.flip(request)).toMatchObject({ errno: "ENOENT" });
      const recovered = yield* recover({ limits, onProgress: silent }).pipe(successor("gone"));
      expect(recovered).toMatchObject([{ domains: [domain], rollback: { left: [] } }]);
      expect([yield* hostKeys, yield* everything]).toEqual(before);
    }),
  ),
);

test("a controller died when the guest was done, before it said what the domain should hold", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      const before = yield* everything;
      const store = yield* XenStore;
      const dying = XenStore.of({
        ...store,
        write: (path, value) =>
          path === NumaKeys.at(domain, NumaKeys.path.memoryTarget)
            ? Effect.die("killed")
            : store.write(path, value),
      });
      yield* killed(1, true).pipe(Effect.provideService(XenStore, dying), Effect.exit);
      const { info } = yield* everything;
      expect([info.memoryBytes, info.targetBytes]).toEqual([3 * gib + lowBytes, 4 * gib]);
      yield* recover({ limits, onProgress: silent }).pipe(successor("gone"));
      expect(yield* everything).toEqual(before);
    }),
  ));

test("a controller died while it had the limit raised for a claim", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      const before = yield* everything;
      yield* killed(1, false, [
        {
          _tag: "reserve",
          domain,
          pnode: PnodeId.make(3),
          reservedBytes: { from: 0, to: gib },
          limitBytes: 4 * gib,
        },
      ]);
      yield* (yield* Hypervisor).setLimit(domain, 5 * gib);
      const recovered = yield* recover({ limits, onProgress: silent }).pipe(successor("gone"));
      expect(recovered).toMatchObject([{ domains: [domain], rollback: { left: [] } }]);
      expect(yield* everything).toEqual(before);
    }),
  ));

test("who undid it died while the guest took the change back: it is asked once more", () =>
  run(
    Effect.gen(function* () {
      // Slow with the first way back, which a cancellation would end where it began.
      yield* runGuest((scripted) => {
        const { request, say } = scripted;
        if (request.id !== 2) return obedient(scripted);
        return say({ id: 2, state: request.op === "cancel" ? "cancelled" : "accepted" });
      });
      const before = yield* everything;
      yield* killed(1, true);
      const store = yield* XenStore;
      const dying = XenStore.of({
        ...store,
        write: (path, value) =>
          Effect.andThen(
            store.write(path, value),
            value.startsWith("2 expand") ? Effect.die("killed") : Effect.void,
          ),
      });
      yield* recover({ limits, onProgress: silent }).pipe(
        successor("gone"),
        Effect.provideService(XenStore, dying),
        Effect.exit,
      );
      const recovered = yield* recover({ limits, onProgress: silent }).pipe(
        successor("gone", 6000),
      );
      expect(recovered).toMatchObject([{ domains: [domain], rollback: { left: [] } }]);
      expect(yield* everything).toEqual(before);
    }),
  ));

test("nothing is changed over what was left behind; prepare undoes it, then all is well", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      const before = yield* everything;
      yield* killed(2, true);
      const change = apply(shrinkPlan, { deadline: "2 seconds", onProgress: silent }).pipe(
        successor("gone"),
      );
      expect(yield* Effect.flip(change)).toMatchObject({ code: "CHANGE_LEFT_BEHIND" });
      yield* prepare(domain, limits, silent).pipe(successor("gone"));
      expect(yield* everything).toEqual(before);
      yield* change;
      expect((yield* everything).info.memoryBytes).toBe(3 * gib + lowBytes);
      expect(yield* openChanges.pipe(successor("gone"))).toEqual({ changes: [], damaged: [] });
    }),
  ));

test("prepare refuses while somebody is at work, and leaves other domains alone", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      yield* killed(1, true);
      const busy = prepare(domain, limits, silent).pipe(successor("alive"), Effect.flip);
      expect(yield* busy).toMatchObject({ code: "CHANGE_IN_PROGRESS", domain });
      yield* prepare(DomainId.make(7), limits, silent).pipe(successor("alive"));
    }),
  ));

test.each(["alive", "unknown"] as const)("a controller that is %s is left alone", (liveness) =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      yield* killed(1, true);
      const during = yield* everything;
      expect(yield* recover({ limits, onProgress: silent }).pipe(successor(liveness))).toEqual([]);
      const error = yield* apply(shrinkPlan, { deadline: "1 second", onProgress: silent }).pipe(
        successor(liveness),
        Effect.flip,
      );
      expect(error).toMatchObject({ code: "CHANGE_IN_PROGRESS" });
      expect(yield* everything).toEqual(during);
    }),
  ),
);

test("only the named domain's change is undone", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      yield* killed(1, true);
      const other = { domain: DomainId.make(7), limits, onProgress: silent };
      expect(yield* recover(other).pipe(successor("gone"))).toEqual([]);
      expect((yield* openChanges.pipe(successor("gone"))).changes).toHaveLength(1);
    }),
  ));

const damages = [
  { key: "steps/0", text: "[{", domains: [domain] },
  { key: "begun", text: undefined, domains: [domain] },
  { key: "steps", text: undefined, domains: [domain] },
  { key: "domains", text: undefined, domains: undefined },
];

test.each(damages)("a journal that somebody wrote over is named, and left: $key", (damage) =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      yield* killed(1, true);
      const path = "/tool/virtflex/change/1";
      const store = yield* XenStore;
      const { text } = damage;
      const at = `${path}/${damage.key}`;
      yield* text === undefined ? store.remove(at) : store.write(at, text);
      const before = yield* everything;

      const { changes, damaged } = yield* openChanges.pipe(successor("gone"));
      expect(changes).toEqual([]);
      expect(damaged).toMatchObject([{ code: "JOURNAL_DAMAGED", path }]);
      expect(damaged[0]?.domains).toEqual(damage.domains);
      const refused = prepare(domain, limits, silent).pipe(successor("gone"), Effect.flip);
      expect(yield* refused).toMatchObject({ code: "JOURNAL_DAMAGED", path });
      expect(yield* recover({ limits, onProgress: silent }).pipe(successor("gone"))).toEqual([]);
      expect(yield* everything).toEqual(before);
    }),
  ),
);

test("a journal that can't be read keeps nobody from another domain's", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      const before = yield* everything;
      const store = yield* XenStore;
      yield* Journal.open([DomainId.make(7)], shrinkPlan.steps).pipe(
        Effect.provide(controllerLayer()),
      );
      yield* store.remove("/tool/virtflex/change/1/steps");
      yield* killed(2, true);
      const recovered = yield* recover({ limits, onProgress: silent }).pipe(successor("gone"));
      expect(recovered).toMatchObject([{ domains: [domain], rollback: { left: [] } }]);
      expect(yield* everything).toEqual(before);
      yield* prepare(domain, limits, silent).pipe(successor("gone"));
    }),
  ));

test("what somebody else is undoing is not planned upon", () =>
  run(
    Effect.gen(function* () {
      yield* killed(1, false);
      // The other takes it over between this one's look and its own attempt.
      let looks = 0;
      const late = Layer.succeed(
        Controller,
        Controller.of({
          self: { ...self, pid: 5000 },
          liveness: () => Effect.sync(() => (looks++ === 0 ? "gone" : "alive")),
        }),
      );
      const error = yield* prepare(domain, limits, silent).pipe(Effect.provide(late), Effect.flip);
      expect(error).toMatchObject({ _tag: "ChangeInProgress", domain });
    }),
  ));

test("guests can't see the journal", () =>
  run(
    Effect.gen(function* () {
      yield* killed(1, false);
      const store = yield* XenStore;
      expect(yield* store.permissions("/tool/virtflex/change/1/owner")).toEqual([
        { domain: 0, access: "none" },
      ]);
    }),
  ));

test("a process knows itself alive, a pid that came again is another, a dead one is gone", () =>
  Effect.runPromise(
    Effect.gen(function* () {
      const controller = yield* Controller;
      const me = controller.self;
      expect(me.pid).toBe(process.pid);
      expect(yield* controller.liveness(me)).toBe("alive");
      expect(yield* controller.liveness({ ...me, startTicks: me.startTicks + 1 })).toBe("gone");
      expect(yield* controller.liveness({ ...me, pid: 0x3fffff })).toBe("gone");
      expect(yield* controller.liveness({ ...me, bootId: "another" })).toBe("gone");
      expect(yield* controller.liveness({ ...me, pidNamespace: "pid:[1]" })).toBe("unknown");
    }).pipe(Effect.provide(Layer.provide(Controller.layer, NodeServices.layer))),
  ));
