import { expect, test } from "@jest/globals";
import { NumaKeys, validate } from "@virtflex/topo-model";
import type { Hypervisor, XenStore } from "@virtflex/xen-control";
import { EmbeddedHost, layer as embeddedLayer } from "@virtflex/xen-control/embedded";
import { Effect, Result, type Scope } from "effect";
import { apply, survey } from "../src/index.ts";
import {
  config,
  controllerLayer,
  domain,
  gib,
  lowBytes,
  obedient,
  runGuest,
  shrinkPlan,
} from "./support.ts";

const { path } = NumaKeys;

const run = <A, E>(
  effect: Effect.Effect<A, E, XenStore | Hypervisor | EmbeddedHost | Scope.Scope>,
) => Effect.runPromise(effect.pipe(Effect.scoped, Effect.provide(embeddedLayer(config))));

test("a host and its guest, as they were built", () =>
  run(
    Effect.gen(function* () {
      const { topology, guests } = yield* survey;
      expect(topology.guests).toEqual(
        config.guests.map((guest) => ({ ...guest, targetBytes: 4 * gib })),
      );
      expect(topology.host.pnodes.map(({ freeBytes }) => freeBytes)).toEqual(Array(4).fill(gib));
      expect(Result.isSuccess(validate(topology))).toBe(true);
      expect(guests[0]?.report).toMatchObject({ aware: false, status: undefined });
      expect(guests[0]?.memoryBytes).toBe(4 * gib);
      expect(guests[0]?.residentBytes).toEqual(
        [0, 1, 2, 3].map((pnode) => ({ pnode, bytes: gib })),
      );
    }),
  ));

test("after a change: what is wanted, what is there, what the guest says", () =>
  run(
    Effect.gen(function* () {
      yield* runGuest(obedient);
      yield* apply(shrinkPlan, { deadline: "5 seconds", onProgress: () => Effect.void }).pipe(
        Effect.provide(controllerLayer()),
      );
      const { guests } = yield* survey;
      expect(guests[0]?.guest.vnodes[3]).toMatchObject({
        desired: "offline",
        targetBytes: lowBytes,
        actualBytes: lowBytes,
      });
      expect(guests[0]?.guest.limitBytes).toBe(3 * gib + lowBytes);
      expect(guests[0]?.report).toMatchObject({
        aware: true,
        request: { id: 1, op: "shrink" },
        status: { id: 1, state: "done" },
      });
    }),
  ));

const lies: ReadonlyArray<readonly [what: string, value: string]> = [
  ["above its capacity", `${(2 * gib) / 1024} online`],
  ["no grammar", "lots online"],
  ["negative", "-1 online"],
  ["endless", "9".repeat(2000)],
];

test.each(lies)("a guest's figure of a vnode that is %s: what is wanted stands", (_, value) =>
  run(
    Effect.gen(function* () {
      const host = yield* EmbeddedHost;
      const { store } = yield* host.guest(domain);
      yield* store.write(path.nodeStatus(3), value);
      const { topology } = yield* survey;
      expect(topology.guests[0]?.vnodes[3]?.actualBytes).toBe(gib);
      expect(Result.isSuccess(validate(topology))).toBe(true);
    }),
  ),
);

test("a guest that claims memory which it gave back does not hinder other plans", () =>
  run(
    Effect.gen(function* () {
      const host = yield* EmbeddedHost;
      const guest = yield* host.guest(domain);
      const vnode = shrinkPlan.steps.flatMap((step) =>
        step._tag === "request" ? step.vnodes.map((each) => each.vnode) : [],
      );
      for (const each of vnode) yield* guest.decrease(each, gib / 2);
      yield* guest.store.write(path.nodeStatus(3), `${gib / 1024} online`);
      const { topology } = yield* survey;
      expect(topology.guests[0]?.vnodes[3]?.actualBytes).toBe(gib / 2);
      expect(Result.isSuccess(validate(topology))).toBe(true);
    }),
  ));
