/**
 * Whether a request can be done at all, found by trying everything: every
 * order of giving memory back, moving a vnode to any pnode and ballooning in. It shares no code with the planner and
 * knows no better than to look at each state once.
 */
import type { PnodeId, TopologyChange, Vnode } from "../../src/index.ts";
import { lowTargetBytes } from "../../src/index.ts";
import { lowTarget, type Scenario } from "./arbitraries.ts";

interface Piece {
  readonly vnode: Vnode;
  readonly end: number;
  /** Where it may end. */
  readonly goals: ReadonlyArray<PnodeId>;
  readonly mayMove: boolean;
}

interface Place {
  readonly pnode: PnodeId;
  readonly bytes: number;
}

const piecesOf = (
  { topology: { host, guests }, allowOtherPnode }: Scenario,
  change: TopologyChange,
): ReadonlyArray<Piece> => {
  const guest = guests.find(({ domain }) => domain === change.domain);
  if (guest === undefined) throw new Error("unknown domain");
  const ids = "vnodes" in change ? change.vnodes : [change.vnode];
  return ids.map((id): Piece => {
    const vnode = guest.vnodes.find((each) => each.id === id);
    if (vnode === undefined) throw new Error("unknown vnode");
    const stays = { vnode, goals: [vnode.pnode], mayMove: false };
    switch (change._tag) {
      case "shrink":
        return { ...stays, end: lowTargetBytes(guest, vnode, lowTarget) };
      case "resize":
        return { ...stays, end: change.targetBytes };
      case "rehome":
        return { vnode, end: vnode.targetBytes, goals: [change.pnode], mayMove: true };
      case "expand": {
        const others = host.pnodes.filter(({ pcpus }) => pcpus.length > 0).map((p) => p.id);
        const goals = allowOtherPnode ? [vnode.pnode, ...others] : [vnode.pnode];
        return { vnode, end: vnode.capacityBytes, goals, mayMove: allowOtherPnode };
      }
    }
  });
};

export const canBeDone = (scenario: Scenario): boolean => {
  const { host } = scenario.topology;
  const pieces = scenario.changes.flatMap((change) => piecesOf(scenario, change));
  const start = pieces.map(({ vnode }): Place => ({
    pnode: vnode.pnode,
    bytes: vnode.actualBytes,
  }));
  const free = (places: ReadonlyArray<Place>, pnode: PnodeId): number => {
    const now = host.pnodes.find(({ id }) => id === pnode)?.freeBytes ?? 0;
    const on = (list: ReadonlyArray<Place>) =>
      list.reduce((sum, place) => (place.pnode === pnode ? sum + place.bytes : sum), 0);
    return now + on(start) - on(places);
  };
  const keyOf = (places: ReadonlyArray<Place>) =>
    places.map(({ pnode, bytes }) => `${pnode}:${bytes}`).join();
  const done = (places: ReadonlyArray<Place>) =>
    pieces.every((piece, i) => {
      const place = places[i];
      return place?.bytes === piece.end && piece.goals.includes(place.pnode);
    });
  const seen = new Set([keyOf(start)]);
  const queue: Array<ReadonlyArray<Place>> = [start];
  for (const places of queue) {
    if (done(places)) return true;
    for (const [i, piece] of pieces.entries()) {
      const place = places[i];
      if (place === undefined) continue;
      const next: Array<Place> = [];
      if (piece.end - place.bytes <= free(places, place.pnode)) {
        next.push({ ...place, bytes: piece.end });
      }
      for (const { id } of piece.mayMove ? host.pnodes : []) {
        if (id !== place.pnode && place.bytes <= free(places, id))
          next.push({ ...place, pnode: id });
      }
      for (const moved of next) {
        const reached = places.with(i, moved);
        const key = keyOf(reached);
        if (seen.has(key)) continue;
        seen.add(key);
        queue.push(reached);
      }
    }
  }
  return false;
};
