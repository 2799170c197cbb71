/** A page of two nodes of two CPUs each, the second node in use or not. */
import { VnodeId } from "@virtflex/topo-model";
import type { TopologyPage } from "../src/index.ts";

/** Both nodes have `mebibytes`, so that a mixture of two pages is recognised. */
export const pageOf = (both: boolean, mebibytes = 0): TopologyPage => {
  const memoryBytes = mebibytes * 1024 ** 2;
  return {
    nodes: [
      { present: true, online: true, evacuating: false, memoryBytes },
      { present: true, online: both, evacuating: false, memoryBytes },
    ],
    cpuNode: [0, 0, 1, 1].map((id) => (id === 0 || both ? VnodeId.make(id) : null)),
    distances: [
      [10, 20],
      [20, 10],
    ],
    resetCall: 0,
  };
};
