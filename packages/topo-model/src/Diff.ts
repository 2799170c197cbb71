/**
 * What differs between two topologies: of one host before and after a change, or
 * of what a document says and what a host has.
 *
 * @since 0.1.0
 */
import type { Guest, Vcpu, Vnode } from "./Guest.ts";
import type { Host, Pnode } from "./Host.ts";
import type { DomainId, PnodeId, VcpuId, VnodeId } from "./Ids.ts";
import type { Topology } from "./Topology.ts";

/** The fields that differ, with both values. @since 0.1.0 */
export type Changes<A> = {
  readonly [K in keyof A]?: { readonly from: A[K]; readonly to: A[K] };
};

/** @since 0.1.0 */
export type Difference =
  | { readonly _tag: "pnodeAdded"; readonly pnode: Pnode }
  | { readonly _tag: "pnodeRemoved"; readonly pnode: Pnode }
  | {
      readonly _tag: "pnodeChanged";
      readonly pnode: PnodeId;
      readonly changes: Changes<Omit<Pnode, "id">>;
    }
  | { readonly _tag: "hostChanged"; readonly changes: Changes<Pick<Host, "distances">> }
  | { readonly _tag: "guestAdded"; readonly guest: Guest }
  | { readonly _tag: "guestRemoved"; readonly guest: Guest }
  | {
      readonly _tag: "guestChanged";
      readonly domain: DomainId;
      readonly changes: Changes<Pick<Guest, "name" | "distances" | "limitBytes" | "targetBytes">>;
    }
  | { readonly _tag: "vnodeAdded"; readonly domain: DomainId; readonly vnode: Vnode }
  | { readonly _tag: "vnodeRemoved"; readonly domain: DomainId; readonly vnode: Vnode }
  | {
      readonly _tag: "vnodeChanged";
      readonly domain: DomainId;
      readonly vnode: VnodeId;
      readonly changes: Changes<Omit<Vnode, "id">>;
    }
  | { readonly _tag: "vcpuAdded"; readonly domain: DomainId; readonly vcpu: Vcpu }
  | { readonly _tag: "vcpuRemoved"; readonly domain: DomainId; readonly vcpu: Vcpu }
  | {
      readonly _tag: "vcpuChanged";
      readonly domain: DomainId;
      readonly vcpu: VcpuId;
      readonly changes: Changes<Omit<Vcpu, "id">>;
    };

/** Deep equality of plain data. */
const same = (a: unknown, b: unknown): boolean =>
  Array.isArray(a) && Array.isArray(b)
    ? a.length === b.length && a.every((item, i) => same(item, b[i]))
    : a === b;

/** Undefined when none of the fields differs. */
const changesOf = <A extends object, K extends keyof A>(
  from: A,
  to: A,
  fields: ReadonlyArray<K>,
): Changes<Pick<A, K>> | undefined => {
  const differing = fields.filter((field) => !same(from[field], to[field]));
  if (differing.length === 0) return undefined;
  const entries = differing.map((field) => [field, { from: from[field], to: to[field] }]);
  return Object.fromEntries(entries) as Changes<Pick<A, K>>;
};

/** Pairs two lists by id: in the order of the first, then what only the second has. */
const paired = <Item>(
  before: ReadonlyArray<Item>,
  after: ReadonlyArray<Item>,
  idOf: (item: Item) => number,
): ReadonlyArray<readonly [Item | undefined, Item | undefined]> => {
  const left = new Map(after.map((item) => [idOf(item), item]));
  const pairs = before.map((item): readonly [Item, Item | undefined] => {
    const id = idOf(item);
    const other = left.get(id);
    left.delete(id);
    return [item, other];
  });
  return [...pairs, ...[...left.values()].map((item) => [undefined, item] as const)];
};

const diffHost = (before: Host, after: Host): ReadonlyArray<Difference> => {
  const differences: Array<Difference> = [];
  for (const [old, now] of paired(before.pnodes, after.pnodes, ({ id }) => id)) {
    if (old === undefined) {
      if (now !== undefined) differences.push({ _tag: "pnodeAdded", pnode: now });
    } else if (now === undefined) differences.push({ _tag: "pnodeRemoved", pnode: old });
    else {
      const changes = changesOf(old, now, ["pcpus", "memoryBytes", "freeBytes"]);
      if (changes) differences.push({ _tag: "pnodeChanged", pnode: old.id, changes });
    }
  }
  const changes = changesOf(before, after, ["distances"]);
  return changes ? [...differences, { _tag: "hostChanged", changes }] : differences;
};

const vnodeFields = [
  "pnode",
  "vcpus",
  "capacityBytes",
  "targetBytes",
  "actualBytes",
  "desired",
] as const;

const diffGuest = (before: Guest, after: Guest): ReadonlyArray<Difference> => {
  const { domain } = before;
  const differences: Array<Difference> = [];
  const own = changesOf(before, after, ["name", "distances", "limitBytes", "targetBytes"]);
  if (own) differences.push({ _tag: "guestChanged", domain, changes: own });
  for (const [old, now] of paired(before.vnodes, after.vnodes, ({ id }) => id)) {
    if (old === undefined) {
      if (now !== undefined) differences.push({ _tag: "vnodeAdded", domain, vnode: now });
    } else if (now === undefined) differences.push({ _tag: "vnodeRemoved", domain, vnode: old });
    else {
      const changes = changesOf(old, now, vnodeFields);
      if (changes) differences.push({ _tag: "vnodeChanged", domain, vnode: old.id, changes });
    }
  }
  for (const [old, now] of paired(before.vcpus, after.vcpus, ({ id }) => id)) {
    if (old === undefined) {
      if (now !== undefined) differences.push({ _tag: "vcpuAdded", domain, vcpu: now });
    } else if (now === undefined) differences.push({ _tag: "vcpuRemoved", domain, vcpu: old });
    else {
      const changes = changesOf(old, now, ["online", "affinity"]);
      if (changes) differences.push({ _tag: "vcpuChanged", domain, vcpu: old.id, changes });
    }
  }
  return differences;
};

/**
 * What must change in `before` to make `after` of it; nothing when they are
 * the same but for the order of their lists. Exchanging the two exchanges every
 * `from` with its `to`, and what is added with what is removed.
 *
 * @since 0.1.0
 */
export const diff = (before: Topology, after: Topology): ReadonlyArray<Difference> => {
  const differences = [...diffHost(before.host, after.host)];
  for (const [old, now] of paired(before.guests, after.guests, ({ domain }) => domain)) {
    if (old === undefined) {
      if (now !== undefined) differences.push({ _tag: "guestAdded", guest: now });
    } else if (now === undefined) differences.push({ _tag: "guestRemoved", guest: old });
    else differences.push(...diffGuest(old, now));
  }
  return differences;
};
