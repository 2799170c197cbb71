/**
 * A topology drawn with characters: CPUs and memory of each pnode, by guest, and
 * the vnodes of each guest; after a change beside before it.
 *
 * @since 0.1.0
 */
import { type NodeScene, sceneOf, shareOut, type Tenant } from "./internal/Scene.ts";
import type { Topology } from "./Topology.ts";
import { formatBytes } from "./Units.ts";

/** @since 0.1.0 */
export interface TerminalOptions {
  /** Width of the terminal in columns. */
  readonly columns?: number;
  /** Whether to colour guests (ANSI). The letters tell them apart either way. */
  readonly color?: boolean;
}

/** ANSI foreground colours of guests, in turn; none of them black, white or red. */
const colors = [36, 33, 35, 32, 34] as const;
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const other = "#";
const free = "·";
const labelWidth = 10;

const letterOf = (guest: number): string => letters.charAt(guest % letters.length);

class Pen {
  readonly #color: boolean;

  constructor(color: boolean) {
    this.#color = color;
  }

  guest(index: number, text: string): string {
    const code = colors[index % colors.length] ?? 36;
    return this.#color ? `\u001b[${code}m${text}\u001b[39m` : text;
  }

  dim(text: string): string {
    return this.#color ? `\u001b[2m${text}\u001b[22m` : text;
  }

  bold(text: string): string {
    return this.#color ? `\u001b[1m${text}\u001b[22m` : text;
  }
}

/** Text with the width that it has on a terminal, escapes not counted. */
interface Cell {
  readonly text: string;
  readonly width: number;
}

const plain = (text: string): Cell => ({ text, width: text.length });

const memoryBar = (pen: Pen, node: NodeScene, cells: number): Cell => {
  const { tenants, otherBytes, freeBytes } = node;
  const shares = shareOut([...tenants.map(({ bytes }) => bytes), otherBytes, freeBytes], cells);
  const bars = tenants.map(({ guest }, i) =>
    pen.guest(guest, letterOf(guest).repeat(shares[i] ?? 0)),
  );
  const rest = [other.repeat(shares.at(-2) ?? 0), free.repeat(shares.at(-1) ?? 0)];
  return {
    text: `▕${bars.join("")}${rest.map((text) => pen.dim(text)).join("")}▏`,
    width: cells + 2,
  };
};

const cpuRows = (pen: Pen, { cpus }: NodeScene, cells: number): ReadonlyArray<Cell> => {
  if (cpus.length === 0) return [plain(" no CPUs")];
  const rows: Array<Cell> = [];
  for (let first = 0; first < cpus.length; first += cells) {
    const row = cpus.slice(first, first + cells);
    const text = row.map(({ guest }) =>
      guest === undefined ? pen.dim(free) : pen.guest(guest, letterOf(guest)),
    );
    rows.push({ text: ` ${text.join("")}`, width: row.length + 1 });
  }
  return rows;
};

const nodeRows = (pen: Pen, node: NodeScene, width: number): ReadonlyArray<Cell> => [
  ...cpuRows(pen, node, width - 2),
  memoryBar(pen, node, width - 2),
  plain(` ${formatBytes(node.freeBytes)} of ${formatBytes(node.memoryBytes)} free`),
];

const pad = ({ text, width }: Cell, to: number): string =>
  text + " ".repeat(Math.max(0, to - width));

const beside = (columns: ReadonlyArray<ReadonlyArray<Cell>>, width: number) => {
  const height = Math.max(...columns.map((column) => column.length));
  return Array.from({ length: height }, (_, row) =>
    columns.map((column) => pad(column[row] ?? plain(""), width)).join(" "),
  );
};

const vnodeText = ({ onlineVcpus, vcpus, bytes, desired }: Tenant): string =>
  `${desired}, ${onlineVcpus}/${vcpus.length} vCPUs, ${formatBytes(bytes)}`;

const guestRows = (
  pen: Pen,
  topologies: ReadonlyArray<Topology>,
  scenes: ReadonlyArray<ReadonlyArray<NodeScene>>,
  columns: number,
): ReadonlyArray<string> => {
  const placed = scenes.map((scene) =>
    scene.flatMap(({ pnode, tenants }) => tenants.map((tenant) => ({ pnode, tenant }))),
  );
  return (topologies[0]?.guests ?? []).flatMap((guest, index) => {
    const { domain, name } = guest;
    const head = `${letterOf(index)} ${visible(name)} (domain ${domain})`;
    const rows = guest.vnodes.map(({ id }) => {
      const states = placed.flatMap((tenants) => {
        const found = tenants.find(({ tenant }) => tenant.domain === domain && tenant.vnode === id);
        return found ? [`pnode ${found.pnode}, ${vnodeText(found.tenant)}`] : [];
      });
      const [before = "", after] = new Set(states);
      const row = `  vnode ${String(id).padEnd(3)} ${before}`;
      if (after === undefined) return row;
      const arrow = row.length + after.length + 3 <= columns ? " → " : `\n${" ".repeat(11)}→ `;
      return row + arrow + after;
    });
    return [pen.guest(index, pen.bold(head)), ...rows];
  });
};

/** A name is the guest's own word: control characters are shown, not obeyed. */
const visible = (name: string): string =>
  name.replace(/\p{C}/gu, (control) => `\\u{${control.codePointAt(0)?.toString(16) ?? ""}}`);

/**
 * Draws one topology, or two of the same host side by side.
 *
 * @since 0.1.0
 */
export const drawTerminal = (
  topologies: readonly [Topology] | readonly [before: Topology, after: Topology],
  { columns = 80, color = false }: TerminalOptions = {},
): string => {
  const pen = new Pen(color);
  const scenes = topologies.map(sceneOf);
  const room = Math.floor((columns - labelWidth - scenes.length + 1) / scenes.length);
  const width = Math.min(Math.max(room, 12), 48);
  const lines: Array<string> = [];
  if (scenes.length === 2) {
    const titles = [" before".padEnd(width), " after"];
    lines.push(pen.bold(" ".repeat(labelWidth) + titles.join(" ")));
  }
  for (const [i, { pnode }] of (scenes[0] ?? []).entries()) {
    const nodes = scenes.flatMap((scene) => scene[i] ?? []);
    const rows = beside(
      nodes.map((node) => nodeRows(pen, node, width)),
      width,
    );
    const label = `pnode ${pnode}`.padEnd(labelWidth);
    lines.push(...rows.map((row, at) => (at === 0 ? label : " ".repeat(labelWidth)) + row));
  }
  lines.push(
    pen.dim(`${" ".repeat(labelWidth)} first CPUs, then memory; ${other} other, ${free} free`),
    "",
    ...guestRows(pen, topologies, scenes, columns),
  );
  return lines.map((line) => line.trimEnd()).join("\n");
};
