/**
 * Makes a running domain one whose topology can be changed: writes its `numa/`
 * tree (contracts.md, "xenstore: host and guest") from what Xen says of it.
 *
 * @since 0.1.0
 */
import { DomainId, NumaKeys } from "@virtflex/topo-model";
import { type Permission, XenStore, type XenStoreOps } from "@virtflex/xen-control";
import { Effect, Equal, Schema } from "effect";
import { readOptional } from "./StoreKeys.ts";
import type { SurveyedGuest } from "./Survey.ts";

const { at, path } = NumaKeys;

/** The domain is none whose topology can change. @since 0.1.0 */
export class NotAdoptable extends Schema.TaggedError<NotAdoptable>()("NotAdoptable", {
  domain: DomainId,
  detail: Schema.String,
}) {
  readonly code = "NOT_ADOPTABLE";
  override get message(): string {
    return `Domain ${this.domain} can't be adopted: ${this.detail}`;
  }
}

/** Sets a node's value and permissions where they are others; whether they were. */
const put = Effect.fnUntraced(function* (
  store: XenStoreOps,
  key: string,
  value: string,
  permissions: ReadonlyArray<Permission>,
) {
  const before = yield* readOptional(store, key);
  if (before !== value) yield* store.write(key, value);
  const granted = Equal.equals(yield* store.permissions(key), permissions);
  if (!granted) yield* store.setPermissions(key, permissions);
  return before !== value || !granted;
});

/** The host's keys and their values, each directory before what is in it. */
const hostKeys = ({ guest }: SurveyedGuest): ReadonlyArray<readonly [string, string]> => [
  ["numa", ""],
  [path.version, NumaKeys.contractVersion],
  [path.nodes, ""],
  ...guest.vnodes.flatMap((vnode): ReadonlyArray<readonly [string, string]> => [
    [path.node(vnode.id), ""],
    [path.pnode(vnode.id), NumaKeys.printPnode(vnode.pnode)],
    [path.capacity(vnode.id), NumaKeys.printKib(vnode.capacityBytes)],
    [path.target(vnode.id), NumaKeys.printKib(vnode.targetBytes)],
    [path.vcpus(vnode.id), NumaKeys.printCpuList(vnode.vcpus)],
    [path.desired(vnode.id), vnode.desired],
  ]),
];

/** The guest's own; what it has written there stays. */
const guestKeys = [path.status, path.feature];

const check = ({ guest: { domain, vnodes, vcpus } }: SurveyedGuest) => {
  const refuse = (detail: string) => new NotAdoptable({ domain, detail });
  if (vnodes.length === 0) {
    return refuse("it was built without virtual NUMA (vnuma= of xl.cfg(5))");
  }
  if (vnodes.some(({ id }) => id >= NumaKeys.maxNodes)) {
    return refuse(`it has more than ${NumaKeys.maxNodes} vnodes`);
  }
  return vcpus.some(({ id }) => id >= NumaKeys.maxCpus)
    ? refuse(`it has more than ${NumaKeys.maxCpus} vCPUs`)
    : Effect.void;
};

/**
 * Adopts a domain, in one transaction. Answers the keys that were not as they
 * should be, relative to the domain's directory: none the second time. A target
 * or a desired state that is there already stays.
 *
 * @since 0.1.0
 */
export const adopt = Effect.fn("adopt")(function* (surveyed: SurveyedGuest) {
  yield* check(surveyed);
  const { domain } = surveyed.guest;
  const store = yield* XenStore;
  return yield* store.transaction(
    Effect.fnUntraced(function* (transaction) {
      // Without this a write would bring back the directory of a domain that is gone.
      yield* transaction.read(NumaKeys.domainPath(domain));
      const changed: Array<string> = [];
      const note = (key: string) => (was: boolean) => {
        if (was) changed.push(key);
      };
      const putAt = (key: string, value: string, permissions: ReadonlyArray<Permission>) =>
        Effect.map(put(transaction, at(domain, key), value, permissions), note(key));
      for (const [key, value] of hostKeys(surveyed)) {
        yield* putAt(key, value, [
          { domain: 0, access: "none" },
          { domain, access: "read" },
        ]);
      }
      for (const key of guestKeys) {
        const own = (yield* readOptional(transaction, at(domain, key))) ?? "";
        yield* putAt(key, own, [{ domain, access: "none" }]);
      }
      return changed;
    }),
  );
});
