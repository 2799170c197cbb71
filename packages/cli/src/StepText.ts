/**
 * Steps in words.
 */
import { formatBytes, NumaKeys, type Step } from "@virtflex/topo-model";

const cpus = (ids: ReadonlyArray<number>) =>
  `${ids.length === 1 ? "vcpu" : "vcpus"} ${NumaKeys.printCpuList(ids)}`;

const change = (from: string, to: string) => (from === to ? to : `${from} → ${to}`);

export const stepText = (step: Step): string => {
  switch (step._tag) {
    case "reserve":
      return `reserve on pnode ${step.pnode}: ${change(
        formatBytes(step.reservedBytes.from),
        formatBytes(step.reservedBytes.to),
      )}`;
    case "limit":
      return `memory limit: ${change(formatBytes(step.limitBytes.from), formatBytes(step.limitBytes.to))}`;
    case "pin":
      return `pin ${cpus(step.vcpus)} to pcpus ${NumaKeys.printCpuList(step.pcpus.to)}`;
    case "vcpus":
      return `${cpus(step.vcpus)} ${step.online.to ? "online" : "offline"}`;
    case "request": {
      const vnodes = step.vnodes.map(
        ({ vnode, targetBytes, pnode }) =>
          `vnode ${vnode} ${change(formatBytes(targetBytes.from), formatBytes(targetBytes.to))}` +
          (pnode.from === pnode.to ? "" : ` on pnode ${pnode.from} → ${pnode.to}`),
      );
      return `guest: ${step.op.to} ${vnodes.join(", ")}`;
    }
    case "move":
      return `move vnode ${step.vnode}, ${formatBytes(step.bytes)}: pnode ${step.pnode.from} → ${step.pnode.to}`;
  }
};
