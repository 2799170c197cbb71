/**
 * A topology page of two nodes, each with one half of this process's CPUs,
 * published as native/abi/include/virtflex/topology_page.h says.
 */
import { createRequire } from "node:module";
import { NumaKeys } from "@virtflex/topo-model";
import { Result } from "effect";
import { readFileSync } from "node:fs";

interface Publisher {
  publish(page: Uint8Array, generation: bigint): void;
  close(): void;
}
interface Native {
  readonly Publisher: new (path: string) => Publisher;
  readonly layout: Readonly<
    Record<"size" | "nodeCount" | "cpuCount" | "node" | "cpuNode" | "distance", number>
  >;
  readonly scanRuntimes: (directory: string) => {
    readonly runtimes: ReadonlyArray<{ readonly pid: number; readonly generation: bigint }>;
  };
}

export const native = createRequire(import.meta.url)("@virtflex/native-guest-notify") as Native;

export const ownCpus = Result.getOrThrow(
  NumaKeys.parseCpuList(
    /^Cpus_allowed_list:\t(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "",
  ),
);
export const halfCpus = ownCpus.slice(0, Math.ceil(ownCpus.length / 2));

/** A page in which the second node is online, or is being left. */
export const pageOf = (both: boolean): Uint8Array => {
  const bytes = new Uint8Array(native.layout.size);
  const data = new DataView(bytes.buffer);
  const { nodeCount, cpuCount, node, cpuNode, distance } = native.layout;
  data.setUint32(nodeCount, 2, true);
  data.setUint32(cpuCount, 1024, true);
  data.setUint32(node, 3, true);
  data.setUint32(node + 16, both ? 3 : 7, true);
  for (let cpu = 0; cpu < 1024; cpu++) data.setUint16(cpuNode + 2 * cpu, 0xffff, true);
  for (const cpu of ownCpus) {
    data.setUint16(cpuNode + 2 * cpu, halfCpus.includes(cpu) ? 0 : 1, true);
  }
  for (const [at, value] of [10, 20, 20, 10].entries()) {
    data.setUint8(distance + 64 * Math.floor(at / 2) + (at % 2), value);
  }
  return bytes;
};
