/**
 * Whether a plan is still one for what there is: between the survey that it was made from and the journal that keeps others away, another
 * controller's whole change may have come.
 */
import { type DomainId, NumaKeys, type RequestStep, type Step } from "@virtflex/topo-model";
import { Hypervisor } from "@virtflex/xen-control";
import { Effect } from "effect";
import { PlanStale } from "./ChangeError.ts";
import { readKey } from "./StoreKeys.ts";

const { path } = NumaKeys;

/** A value that a plan changes, and what it is now; undefined where nobody has written it. */
interface Changed {
  readonly domain: DomainId;
  readonly what: string;
  readonly from: unknown;
  readonly to: unknown;
  readonly found: unknown;
}

const changedOfVnode = Effect.fnUntraced(function* (
  domain: DomainId,
  { vnode, pnode, targetBytes, desired }: RequestStep["vnodes"][number],
) {
  const read = <A>(key: string, parse: (text: string) => NumaKeys.Parsed<A>) =>
    readKey(domain, key, parse);
  const of = (what: string) => ({ domain, what: `${what} of vnode ${vnode}` });
  return [
    { ...of("pnode"), ...pnode, found: yield* read(path.pnode(vnode), NumaKeys.parsePnode) },
    { ...of("target"), ...targetBytes, found: yield* read(path.target(vnode), NumaKeys.parseKib) },
    { ...of("state"), ...desired, found: yield* read(path.desired(vnode), NumaKeys.parseDesired) },
  ];
});

const limitOf = Effect.fnUntraced(function* (domain: DomainId) {
  return (yield* (yield* Hypervisor).domain(domain)).limitBytes;
});

/** What a step's plan says of the domain's memory limit; to reserve leaves it as it is. */
const plannedLimit = (step: Step) => {
  if (step._tag === "reserve") return { from: step.limitBytes, to: step.limitBytes };
  return step._tag === "limit" ? step.limitBytes : undefined;
};

const changedOf = Effect.fnUntraced(function* (step: Step, limits: ReadonlyMap<DomainId, number>) {
  const { domain } = step;
  if (step._tag === "request")
    return (yield* Effect.forEach(step.vnodes, (vnode) => changedOfVnode(domain, vnode))).flat();
  const limit = plannedLimit(step);
  return limit === undefined
    ? []
    : [{ domain, what: "memory limit", ...limit, found: limits.get(domain) }];
});

/**
 * Fails with `PlanStale` unless what the steps change is as it was when they were planned, or as they leave it: to do them twice is to do them
 * once. What can't be read is its step's to tell.
 */
export const checkCurrent = Effect.fn("Stale.checkCurrent")(
  function* (steps: ReadonlyArray<Step>) {
    const limited = new Set(steps.filter(plannedLimit).map(({ domain }) => domain));
    const limits = new Map(
      yield* Effect.forEach(limited, (domain) =>
        Effect.map(limitOf(domain), (bytes) => [domain, bytes] as const),
      ),
    );
    const changes = yield* Effect.forEach(steps, (step) => changedOf(step, limits));
    const all = new Map<string, Changed>();
    for (const changed of changes.flat()) {
      const key = `${changed.domain} ${changed.what}`;
      all.set(key, { ...(all.get(key) ?? changed), to: changed.to });
    }
    const known = [...all.values()].filter(({ found }) => found !== undefined);
    const moved = known.find(({ from, found }) => found !== from);
    if (moved === undefined || known.every(({ to, found }) => found === to)) return;
    return yield* new PlanStale({ domain: moved.domain, what: moved.what });
  },
  Effect.catchTag(["XenStoreError", "HypervisorError", "XenUnavailable"], () => Effect.void),
);
