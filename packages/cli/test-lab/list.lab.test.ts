/** What `virtflex` in dom0 of a real Xen says and does, against Xen's own tools. */
import { describe, expect, it } from "@jest/globals";
import type { Topology } from "@virtflex/topo-model";
import { Effect } from "effect";
import type { Host } from "../../../tools/lab/src/Lab.ts";
import { defaultGuest } from "../../../tools/lab/src/Lab.ts";
import { onLab } from "../../../tools/lab/src/Testing.ts";

const minutes = (n: number) => n * 60_000;
const mib = 1024 ** 2;

const slow = { timeout: "5 minutes" } as const;

const virtflex = (dom0: Host, line: string) => dom0.check(`virtflex ${line}`, slow);

/** `virtflex LINE --json`, read. */
const json = <A>(dom0: Host, line: string) =>
  Effect.map(virtflex(dom0, `${line} --json`), (text) => JSON.parse(text) as A);

const numbers = (text: string) => text.split(",").map(Number);

/** Of a list such as `0-3,6`; `all` are those of the host. */
const cpusIn = (text: string, all: ReadonlyArray<number>) =>
  text === "all"
    ? all
    : text.split(",").flatMap((part) => {
        const [first = 0, last = first] = part.split("-").map(Number);
        return Array.from({ length: last - first + 1 }, (_, i) => first + i);
      });

/** Nodes, distances and CPUs as `xl info -n` prints them. */
const xlInfo = (dom0: Host) =>
  Effect.map(dom0.check("xl info -n"), (text) => {
    const [cpuPart = "", nodePart = ""] = text.split("numa_info");
    const nodes = [...nodePart.matchAll(/^ +(\d+): +(\d+) +(\d+) +(\d+(?:,\d+)*)$/gm)].map(
      ([, id, sizeMib, freeMib, row]) => ({
        id: Number(id),
        sizeMib: Number(sizeMib),
        freeMib: Number(freeMib),
        row: numbers(row ?? ""),
      }),
    );
    const cpus = [...cpuPart.matchAll(/^ +(\d+): +\d+ +\d+ +(\d+)$/gm)].map(([, cpu, node]) => ({
      cpu: Number(cpu),
      node: Number(node),
    }));
    return { nodes, cpus };
  });

/** vCPUs as `xl vcpu-list` prints them: an offline one has `-` for its CPU. */
const xlVcpus = (dom0: Host, name: string, all: ReadonlyArray<number>) =>
  Effect.map(dom0.check(`xl vcpu-list ${name}`), (text) =>
    [...text.matchAll(/^\S+ +\d+ +(\d+) +(\d+|-) +\S+ +[\d.]+ +(\S+) \/ \S+$/gm)].map(
      ([, id, cpu, hard]) => ({
        id: Number(id),
        online: cpu !== "-",
        affinity: cpusIn(hard ?? "", all),
      }),
    ),
  );

/** vNUMA as libxl built it (`xl list -l`). */
const xlVnodes = (dom0: Host, name: string) =>
  Effect.map(dom0.check(`xl list -l ${name}`), (text) => {
    const [{ config }] = JSON.parse(text) as [
      {
        readonly config: {
          readonly b_info: {
            readonly vnuma_nodes: ReadonlyArray<{
              readonly memkb: number;
              readonly pnode?: number;
              readonly distances: ReadonlyArray<number>;
              readonly vcpus: ReadonlyArray<number>;
            }>;
          };
        };
      },
    ];
    return config.b_info.vnuma_nodes;
  });

describe("virtflex in dom0", () => {
  it(
    "lists nodes, distances and free memory as xl info -n, vCPUs as xl vcpu-list, vNUMA as libxl built it",
    onLab(function* ({ dom0 }) {
      const before = yield* xlInfo(dom0);
      const { host, guests } = yield* json<Topology>(dom0, "list");
      const after = yield* xlInfo(dom0);

      expect(before.nodes.length).toBeGreaterThan(1);
      expect(host.pnodes.map(({ id }) => id)).toEqual(before.nodes.map(({ id }) => id));
      expect(host.distances).toEqual(before.nodes.map(({ row }) => row));
      host.pnodes.forEach(({ id, pcpus, memoryBytes, freeBytes }, index) => {
        const [was, is] = [before.nodes[index], after.nodes[index]];
        expect(Math.floor(memoryBytes / mib)).toBe(was?.sizeMib);
        const free = [was?.freeMib ?? 0, is?.freeMib ?? 0];
        expect(Math.floor(freeBytes / mib)).toBeGreaterThanOrEqual(Math.min(...free));
        expect(Math.floor(freeBytes / mib)).toBeLessThanOrEqual(Math.max(...free));
        expect(pcpus).toEqual(before.cpus.filter(({ node }) => node === id).map(({ cpu }) => cpu));
      });

      const all = before.cpus.map(({ cpu }) => cpu);
      const guest = guests.find(({ name }) => name === defaultGuest);
      expect(String(guest?.domain)).toBe((yield* dom0.check(`xl domid ${defaultGuest}`)).trim());
      expect(guest?.vcpus).toEqual(yield* xlVcpus(dom0, defaultGuest, all));
      const built = yield* xlVnodes(dom0, defaultGuest);
      expect(guest?.distances).toEqual(built.map(({ distances }) => distances));
      expect(
        guest?.vnodes.map(({ id, pnode, capacityBytes, vcpus }) => ({
          id,
          pnode,
          memkb: capacityBytes / 1024,
          vcpus,
        })),
      ).toEqual(built.map(({ pnode = 0, memkb, vcpus }, id) => ({ id, pnode, memkb, vcpus })));
    }),
    minutes(10),
  );
});
