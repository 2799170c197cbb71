/**
 * What the guest was before a request that is under way, kept where it
 * outlives the agent: `data/virtflex/before` of the guest's own tree, one value,
 * `<id>|<vnode> <actual-KiB> <state>|…`. It is written before anything is
 * changed, and removed after the request's last word.
 */
import { NumaKeys, type VnodeId } from "@virtflex/topo-model";
import { Result } from "effect";

export const journalPath = "data/virtflex/before";

export interface Journal {
  readonly id: number;
  readonly before: ReadonlyMap<VnodeId, NumaKeys.NodeStatus>;
}

export const print = ({ id, before }: Journal): string =>
  [
    id,
    ...[...before].map(([vnode, status]) => `${vnode} ${NumaKeys.printNodeStatus(status)}`),
  ].join("|");

const parseEntry = (text: string) =>
  Result.gen(function* () {
    const blank = text.indexOf(" ");
    const vnode = yield* NumaKeys.parseVnode(text.slice(0, blank));
    return [vnode, yield* NumaKeys.parseNodeStatus(text.slice(blank + 1))] as const;
  });

/** Undefined for what this did not print: then there is nothing to go back to. */
export const parse = (text: string): Journal | undefined => {
  const [idText, ...entries] = text.length > NumaKeys.maxValueLength ? [] : text.split("|");
  const id = /^[1-9][0-9]{0,15}$/.test(idText ?? "") ? Number(idText) : undefined;
  const before = Result.all(entries.map(parseEntry));
  return id !== undefined && Result.isSuccess(before)
    ? { id, before: new Map(before.success) }
    : undefined;
};
