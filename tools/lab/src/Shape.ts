/**
 * The shape of the emulated host: nodes, CPUs, memory, distances.
 *
 * @since 0.1.0
 */
import { Effect } from "effect";
import { InvalidOption } from "./LabError.ts";

/** @since 0.1.0 */
export interface Shape {
  /** Number of pnodes: 1, 2, 4 or 8. */
  readonly nodes: number;
  /** pCPUs in all, the same number on each pnode. */
  readonly cpus: number;
  /** MiB in all, the same on each pnode. */
  readonly memoryMiB: number;
  /** SLIT: `distances[from][to]`, 10 on the diagonal. */
  readonly distances: ReadonlyArray<ReadonlyArray<number>>;
}

/** What a user may say of a shape; the rest has defaults. @since 0.1.0 */
export interface ShapeOptions {
  readonly nodes?: number | undefined;
  readonly cpus?: number | undefined;
  /** A number with the unit M or G. */
  readonly memory?: string | undefined;
  /**
   * Rows of the SLIT separated by `;` or `/`, its values by `,`; or the two distances `NEAR,FAR` of nodes
   * in pairs.
   */
  readonly distances?: string | undefined;
}

const invalid = (option: string, message: string) =>
  new InvalidOption({ option, message: `${option}: ${message}` });

/** Memory of the host that Xen and dom0 take. */
const hostReserveMiB = 1536;

/** The least memory of a pnode that leaves room for a guest's vnode on it. */
const leastNodeMiB = 256;

const parseMemory = Effect.fnUntraced(function* (text: string) {
  const match = /^([1-9][0-9]{0,6})([MG])(?:i?B)?$/i.exec(text);
  if (match === null) {
    return yield* invalid("--memory", `"${text}" is not a size such as 8G or 6144M`);
  }
  return Number(match[1]) * (match[2]?.toUpperCase() === "G" ? 1024 : 1);
});

/** Nodes in pairs: `near` to the other node of the pair, `far` to all others. */
const pairedDistances = (nodes: number, near: number, far: number) =>
  Array.from({ length: nodes }, (_, from) =>
    Array.from({ length: nodes }, (_, to) =>
      from === to ? 10 : from >> 1 === to >> 1 ? near : far,
    ),
  );

const parseDistances = Effect.fnUntraced(function* (text: string, nodes: number) {
  const rows = text.split(/[;/]/).map((row) => row.split(",").map((value) => value.trim()));
  const bad = rows
    .flat()
    .find((value) => !/^[0-9]{1,3}$/.test(value) || +value < 10 || +value > 254);
  if (bad !== undefined) {
    return yield* invalid("--distances", `"${bad}" is not a SLIT distance from 10 to 254`);
  }
  const matrix = rows.map((row) => row.map(Number));
  const [near, far] = matrix[0] ?? [];
  if (matrix.length === 1 && near !== undefined && far !== undefined && nodes > 1) {
    if (matrix[0]?.length === 2 && nodes !== 2) {
      if (near <= 10 || far <= 10) {
        return yield* invalid("--distances", "only a node's distance to itself is 10");
      }
      return pairedDistances(nodes, near, far);
    }
  }
  if (matrix.length !== nodes || matrix.some((row) => row.length !== nodes)) {
    return yield* invalid(
      "--distances",
      `${String(nodes)} nodes need ${String(nodes)} rows of ${String(nodes)} values, or NEAR,FAR`,
    );
  }
  for (const [from, row] of matrix.entries()) {
    for (const [to, value] of row.entries()) {
      if ((from === to) !== (value === 10)) {
        return yield* invalid(
          "--distances",
          `from ${String(from)} to ${String(to)} is ${String(value)}: 10 is a node's distance to itself, and to itself alone`,
        );
      }
    }
  }
  return matrix;
});

/**
 * The shape that the options ask for; `InvalidOption` names the flag that makes it impossible.
 *
 * @since 0.1.0
 */
export const make = Effect.fn("Shape.make")(function* (options: ShapeOptions) {
  const nodes = options.nodes ?? 4;
  if (![1, 2, 4, 8].includes(nodes)) {
    return yield* invalid("--nodes", `${String(nodes)} is none of 1, 2, 4, 8`);
  }
  const cpus = options.cpus ?? nodes * 2;
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > 64 || cpus % nodes !== 0) {
    return yield* invalid(
      "--cpus",
      `${String(cpus)} is no multiple of the ${String(nodes)} nodes from ${String(nodes)} to 64`,
    );
  }
  const memoryMiB = options.memory === undefined ? 8192 : yield* parseMemory(options.memory);
  if (memoryMiB % (nodes * 2) !== 0) {
    return yield* invalid(
      "--memory",
      `${String(memoryMiB)} MiB do not divide into ${String(nodes)} nodes of whole 2 MiB pages`,
    );
  }
  if (memoryMiB < hostReserveMiB + nodes * leastNodeMiB) {
    return yield* invalid(
      "--memory",
      `${String(memoryMiB)} MiB are too little: ${String(nodes)} nodes need ${String(hostReserveMiB + nodes * leastNodeMiB)} MiB`,
    );
  }
  const distances =
    options.distances === undefined
      ? pairedDistances(nodes, 16, 32)
      : yield* parseDistances(options.distances, nodes);
  return { nodes, cpus, memoryMiB, distances } satisfies Shape;
});
