import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import * as Shape from "../src/Shape.ts";

const make = (options: Shape.ShapeOptions) => Effect.runSync(Shape.make(options));
const refusal = (options: Shape.ShapeOptions) => Effect.runSync(Effect.flip(Shape.make(options)));

describe("the shape of the host", () => {
  it("is 4 nodes, 8 CPUs, 8 GiB and three distances where nothing is said", () => {
    expect(make({})).toEqual({
      nodes: 4,
      cpus: 8,
      memoryMiB: 8192,
      distances: [
        [10, 16, 32, 32],
        [16, 10, 32, 32],
        [32, 32, 10, 16],
        [32, 32, 16, 10],
      ],
    });
  });

  it.each([1, 2, 4, 8])("has default CPUs and distances for %i nodes", (nodes) => {
    const shape = make({ nodes });
    expect(shape.cpus).toBe(2 * nodes);
    expect(shape.distances).toHaveLength(nodes);
    shape.distances.forEach((row, from) => {
      expect(row).toHaveLength(nodes);
      row.forEach((value, to) => expect(value === 10).toBe(from === to));
    });
  });

  it("takes a whole SLIT, rows separated by / or ;, also one that is not symmetric", () => {
    expect(make({ nodes: 2, distances: "10,21/17,10" }).distances).toEqual([
      [10, 21],
      [17, 10],
    ]);
    expect(make({ nodes: 2, distances: "10,21; 17,10" }).distances[1]).toEqual([17, 10]);
  });

  it("takes NEAR,FAR for nodes in pairs", () => {
    expect(make({ nodes: 4, distances: "20,40" }).distances[0]).toEqual([10, 20, 40, 40]);
  });

  it("reads memory in M and G", () => {
    expect(make({ memory: "6G" }).memoryMiB).toBe(6144);
    expect(make({ memory: "6144M" }).memoryMiB).toBe(6144);
    expect(make({ memory: "6GiB" }).memoryMiB).toBe(6144);
  });

  it.each([
    [{ nodes: 3 }, "--nodes"],
    [{ nodes: 0 }, "--nodes"],
    [{ nodes: -4 }, "--nodes"],
    [{ cpus: 6 }, "--cpus"],
    [{ cpus: 0 }, "--cpus"],
    [{ cpus: 128 }, "--cpus"],
    [{ memory: "8" }, "--memory"],
    [{ memory: "lots" }, "--memory"],
    [{ memory: "-8G" }, "--memory"],
    [{ memory: "2G" }, "--memory"],
    [{ memory: "8191M" }, "--memory"],
    [{ distances: "" }, "--distances"],
    [{ distances: "10,20,30,40" }, "--distances"],
    [{ distances: "10,20/20,10" }, "--distances"],
    [{ distances: "5,9" }, "--distances"],
    [{ distances: "10,300" }, "--distances"],
    [{ distances: "10,20" }, "--distances"],
    [{ nodes: 2, distances: "10,10/20,10" }, "--distances"],
    [{ nodes: 2, distances: "11,20/20,10" }, "--distances"],
    [{ nodes: 2, distances: "10,x/20,10" }, "--distances"],
  ] satisfies ReadonlyArray<readonly [Shape.ShapeOptions, string]>)(
    "refuses %j and names %s",
    (options, flag) => {
      const error = refusal(options);
      expect(error._tag).toBe("InvalidOption");
      expect(error.option).toBe(flag);
      expect(error.message).toContain(flag);
    },
  );
});
