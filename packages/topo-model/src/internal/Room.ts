/**
 * Which vnodes that no change names go to another pnode, so that those which lack memory have it.
 *
 * For each pnode that lacks memory: the smallest vnode there that is enough, else the largest, and again. A vnode
 * goes where there is room for it as it is: to a pnode that its guest does not use before one that it does, to the nearest before
 * one that is further, then to the one with the most free memory. One pass, nothing is tried twice: it finds less than
 * a search would, and what it finds is checked as any plan is.
 */
import type { Guest, Vnode } from "../Guest.ts";
import type { DomainId } from "../Ids.ts";
import type { Topology } from "../Topology.ts";
import type { Rehome } from "../TopologyChange.ts";
import { add, type Ground } from "./Ground.ts";
import { balanceOf } from "./Placement.ts";
import type { Task } from "./Tasks.ts";

interface Candidate {
  readonly guest: Guest;
  readonly vnode: Vnode;
}

/** What it needs at its new pnode: it may still be on the way to its target. */
const needs = ({ vnode }: Candidate): number => Math.max(vnode.actualBytes, vnode.targetBytes);

const destinationOf = (
  { host, indexOf }: Ground,
  candidate: Candidate,
  left: ReadonlyArray<number>,
): number | undefined => {
  const { guest, vnode } = candidate;
  const from = indexOf(vnode.pnode);
  const used = new Set(guest.vnodes.map(({ pnode }) => indexOf(pnode)));
  const rank = (index: number) => ({
    used: used.has(index) ? 1 : 0,
    distance: host.distances[from]?.[index] ?? 0,
    left: left[index] ?? 0,
  });
  const fits = host.pnodes.flatMap(({ pcpus }, index) =>
    index !== from &&
    (left[index] ?? 0) >= needs(candidate) &&
    (pcpus.length > 0 || vnode.vcpus.length === 0)
      ? [{ index, ...rank(index) }]
      : [],
  );
  fits.sort((a, b) => a.used - b.used || a.distance - b.distance || b.left - a.left);
  return fits[0]?.index;
};

/** Undefined if there is not enough that may go, or no room for it. */
export const makeRoom = (
  topology: Topology,
  ground: Ground,
  tasks: ReadonlyArray<Task>,
  movable: ReadonlyArray<DomainId>,
): ReadonlyArray<Rehome> | undefined => {
  const { needed, available } = balanceOf(ground, tasks);
  const left = available.map((bytes, index) => bytes - (needed[index] ?? 0));
  const named = new Set(tasks.map(({ vnode }) => vnode));
  const may = new Set(movable);
  const candidates = topology.guests
    .filter(({ domain }) => may.has(domain))
    .flatMap((guest) => guest.vnodes.map((vnode) => ({ guest, vnode })))
    .filter(({ vnode }) => !named.has(vnode) && vnode.actualBytes > 0);
  const rehomes: Array<Rehome> = [];
  for (const [index, { id }] of ground.host.pnodes.entries()) {
    const here = candidates.filter(({ vnode }) => vnode.pnode === id);
    here.sort((a, b) => a.vnode.actualBytes - b.vnode.actualBytes);
    while ((left[index] ?? 0) < 0) {
      const lack = -(left[index] ?? 0);
      const able = here.flatMap((candidate) => {
        const to = destinationOf(ground, candidate, left);
        return to === undefined ? [] : [{ candidate, to }];
      });
      const chosen =
        able.find(({ candidate: { vnode } }) => vnode.actualBytes >= lack) ?? able.at(-1);
      if (chosen === undefined) return undefined;
      const { candidate, to } = chosen;
      const { guest, vnode } = candidate;
      here.splice(here.indexOf(candidate), 1);
      add(left, index, vnode.actualBytes);
      add(left, to, -needs(candidate));
      const pnode = ground.pnodeAt(to).id;
      rehomes.push({ _tag: "rehome", domain: guest.domain, vnode: vnode.id, pnode });
    }
  }
  return rehomes;
};
