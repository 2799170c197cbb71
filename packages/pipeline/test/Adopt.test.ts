import { expect, test } from "@jest/globals";
import { NumaKeys } from "@virtflex/topo-model";
import { type Hypervisor, XenStore } from "@virtflex/xen-control";
import { EmbeddedHost, layer as embeddedLayer } from "@virtflex/xen-control/embedded";
import { Effect, type Scope } from "effect";
import { adopt, survey, type SurveyedGuest } from "../src/index.ts";
import { config, domain, gib, lowBytes } from "./support.ts";

const { at, path } = NumaKeys;

const run = <A, E>(
  effect: Effect.Effect<A, E, XenStore | Hypervisor | EmbeddedHost | Scope.Scope>,
) => Effect.runPromise(effect.pipe(Effect.scoped, Effect.provide(embeddedLayer(config))));

/** Every key below the domain's `numa`, with its value and permissions. */
const tree = Effect.gen(function* () {
  const store = yield* XenStore;
  const below: (key: string) => Effect.Effect<ReadonlyArray<unknown>, unknown> = Effect.fnUntraced(
    function* (key) {
      const names = yield* store.list(key);
      const children = yield* Effect.forEach(names, (name) => below(`${key}/${name}`));
      return [[key, yield* store.read(key), yield* store.permissions(key)], ...children.flat()];
    },
  );
  return yield* below(at(domain, "numa"));
});

const adoptIt = Effect.gen(function* () {
  const { guests } = yield* survey;
  return yield* adopt(guests[0] as SurveyedGuest);
});

test("a domain without the tree gets the one that its builder would have written", () =>
  run(
    Effect.gen(function* () {
      const store = yield* XenStore;
      const before = yield* tree;
      yield* store.remove(at(domain, "numa"));
      yield* store.remove(at(domain, path.feature));
      const written = yield* adoptIt;
      expect(written).toContain(path.version);
      expect(yield* tree).toEqual(before);
      expect(yield* store.permissions(at(domain, path.feature))).toEqual([
        { domain, access: "none" },
      ]);
      const guest = yield* Effect.flatMap(EmbeddedHost, (host) => host.guest(domain));
      yield* guest.store.write(path.feature, NumaKeys.contractVersion);
      yield* guest.store.write(path.state, "0 done");
      expect(yield* adoptIt).toEqual([]);
      expect((yield* survey).guests[0]?.report.aware).toBe(true);
    }),
  ));

test("what is wanted already stays, and what is wrong is put right", () =>
  run(
    Effect.gen(function* () {
      const store = yield* XenStore;
      yield* store.write(at(domain, path.target(3)), NumaKeys.printKib(lowBytes));
      yield* store.write(at(domain, path.desired(3)), "offline");
      expect(yield* adoptIt).toEqual([]);
      yield* store.write(at(domain, path.capacity(2)), "lots");
      yield* store.setPermissions(at(domain, path.target(2)), [{ domain, access: "none" }]);
      expect(yield* adoptIt).toEqual([path.capacity(2), path.target(2)]);
      expect(yield* store.read(at(domain, path.capacity(2)))).toBe(NumaKeys.printKib(gib));
      expect(yield* store.read(at(domain, path.desired(3)))).toBe("offline");
    }),
  ));

test("a domain without virtual NUMA is refused", () =>
  run(
    Effect.gen(function* () {
      const { guests } = yield* survey;
      const [first] = guests;
      if (first === undefined) throw new Error("the host has no guest");
      const plain = { ...first, guest: { ...first.guest, vnodes: [] } };
      const error = yield* Effect.flip(adopt(plain));
      expect(error).toMatchObject({ code: "NOT_ADOPTABLE", domain });
      expect(error.message).toContain("vnuma=");
    }),
  ));
