/**
 * A host as the planner's searches see it: pnodes by index, and what is free
 * on each once every change that gives memory back has given.
 */
import type { Host, Pnode } from "../Host.ts";
import type { PnodeId } from "../Ids.ts";
import type { Topology } from "../Topology.ts";
import type { Task } from "./Tasks.ts";

export interface Ground {
  readonly host: Host;
  readonly free: ReadonlyArray<number>;
  readonly indexOf: (pnode: PnodeId) => number;
  readonly pnodeAt: (index: number) => Pnode;
}

/** Adds to one entry of a list of bytes by pnode. */
export const add = (memory: Array<number>, index: number, bytes: number): void => {
  memory[index] = (memory[index] ?? 0) + bytes;
};

/** Built from a topology that `validate` found sound. */
export const groundOf = ({ host }: Topology, tasks: ReadonlyArray<Task>): Ground => {
  const indices = new Map(host.pnodes.map(({ id }, i) => [id, i]));
  const indexOf = (pnode: PnodeId): number => {
    const index = indices.get(pnode);
    if (index === undefined) throw new RangeError(`unchecked pnode ${pnode}`);
    return index;
  };
  const pnodeAt = (index: number): Pnode => {
    const pnode = host.pnodes[index];
    if (pnode === undefined) throw new RangeError(`unchecked pnode index ${index}`);
    return pnode;
  };
  const free = host.pnodes.map(({ freeBytes }) => freeBytes);
  for (const { kind, vnode, targetBytes } of tasks) {
    if (kind !== "shrink" && kind !== "lower") continue;
    add(free, indexOf(vnode.pnode), vnode.actualBytes - targetBytes);
  }
  return { host, free, indexOf, pnodeAt };
};
