import { describe, expect, it } from "@jest/globals";
import { onLab } from "../src/Testing.ts";

describe("the host", () => {
  it(
    "is Xen with the pnodes, CPUs and distances of the shape",
    onLab(function* (lab) {
      const info = yield* lab.dom0.check("xl info -n");
      const { shape } = lab.status;
      expect(info).toMatch(new RegExp(`^nr_nodes +: ${String(shape.nodes)}$`, "m"));
      expect(info).toMatch(new RegExp(`^nr_cpus +: ${String(shape.cpus)}$`, "m"));
      const numa = info.slice(info.indexOf("numa_info"));
      const rows = [...numa.matchAll(/^ +(\d+): +(\d+) +(\d+) +([\d,]+)$/gm)];
      expect(rows.map((row) => row[4]?.split(",").map(Number))).toEqual(shape.distances);
      for (const row of rows) expect(Number(row[2])).toBe(shape.memoryMiB / shape.nodes);
    }),
  );

  it(
    "has xenstored, and dom0 a Node that runs our programs",
    onLab(function* (lab) {
      expect((yield* lab.dom0.check("xenstore-read /local/domain/0/name")).trim()).toBe("Domain-0");
      const version = (yield* lab.dom0.check("node --version")).trim();
      const [, major = 0, minor = 0] = /^v(\d+)\.(\d+)/.exec(version)?.map(Number) ?? [];
      expect(major * 1000 + minor).toBeGreaterThanOrEqual(22_019);
      expect((yield* lab.dom0.check("head -n1 /lab/repo/package.json")).trim()).toBe("{");
    }),
  );
});
