/**
 * The least that hwloc takes for a machine in its XML (version 2): a group of
 * CPUs for each node. hwloc itself completes it and writes it anew.
 */
import type { Host, Pnode } from "../Host.ts";

/** hwloc's text of a bitmap: 32 bits a word, the highest first. */
const bitmap = (bits: ReadonlyArray<number>): string => {
  const words = new Array<number>(Math.floor(Math.max(-1, ...bits) / 32) + 1).fill(0);
  for (const bit of bits) {
    const word = Math.floor(bit / 32);
    words[word] = ((words[word] ?? 0) | (1 << (bit % 32))) >>> 0;
  }
  const text = words.toReversed().map((word) => `0x${word.toString(16).padStart(8, "0")}`);
  return text.join(",") || "0x0";
};

interface Sets {
  readonly cpus: ReadonlyArray<number>;
  readonly nodes: ReadonlyArray<number>;
}

export const skeletonXml = ({ pnodes }: Host): string => {
  let objects = 0;
  const element = (
    type: string,
    { cpus, nodes }: Sets,
    attributes: Readonly<Record<string, number>>,
    children: ReadonlyArray<string> = [],
  ): string => {
    const own = Object.entries(attributes).map(([name, value]) => `${name}="${value}" `);
    const cpuset = bitmap(cpus);
    const nodeset = bitmap(nodes);
    const sets =
      `cpuset="${cpuset}" complete_cpuset="${cpuset}" ` +
      `nodeset="${nodeset}" complete_nodeset="${nodeset}"`;
    const allowed =
      type === "Machine" ? ` allowed_cpuset="${cpuset}" allowed_nodeset="${nodeset}"` : "";
    objects++;
    return (
      `<object type="${type}" gp_index="${objects}" ${own.join("")}${sets}${allowed}>` +
      `${children.join("")}</object>`
    );
  };
  const group = ({ id, pcpus, memoryBytes }: Pnode): string => {
    const sets = { cpus: pcpus, nodes: [id] };
    const node = element("NUMANode", sets, { os_index: id, local_memory: memoryBytes });
    const cpus = pcpus
      .toSorted((a, b) => a - b)
      .map((pcpu) => element("PU", { cpus: [pcpu], nodes: [id] }, { os_index: pcpu }));
    return pcpus.length === 0 ? node : element("Group", sets, {}, [node, ...cpus]);
  };
  const sets = { cpus: pnodes.flatMap(({ pcpus }) => pcpus), nodes: pnodes.map(({ id }) => id) };
  const children = pnodes.map(group);
  const machine = element("Machine", sets, { os_index: 0 }, children);
  return `<topology version="2.0">${machine}</topology>`;
};
