/**
 * A topology drawn as SVG: a card for each pnode with its CPUs, its memory and the vnodes
 * that it backs; after a change beside before it. Needs no font or script, follows the reader's light or dark
 * theme, and says in `<desc>` what it shows.
 *
 * @since 0.1.0
 */
import { type NodeScene, sceneOf, type Tenant } from "./internal/Scene.ts";
import type { Topology } from "./Topology.ts";
import { formatBytes } from "./Units.ts";

/** @since 0.1.0 */
export interface SvgOptions {
  /** Above the picture, such as the command that makes the change. */
  readonly title?: string;
}

/** Okabe and Ito's colours, which people tell apart however they see colours. */
const palette = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"] as const;
const colorOf = (guest: number): string => palette[guest % palette.length] ?? palette[0];

const cardWidth = 216;
const gap = 12;
const inset = 12;
const inner = cardWidth - 2 * inset;
const lineHeight = 16;
const barHeight = 14;
/** Between the two panels, for the arrow. */
const aisle = 44;

const style = `
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .panel { font-size: 13px; font-weight: 600 }
  .node { font-weight: 600 }
  .line { font-size: 11.5px }
  .note { fill: #59636e; font-size: 11px }
  .card { fill: #f6f8fa; stroke: #d1d9e0 }
  .idle { fill: #ffffff; stroke: #b7bfc8 }
  .other { fill: #9198a1 }
  .free { fill: #ffffff; stroke: #b7bfc8 }
  .arrow { fill: none; stroke: #59636e; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note { fill: #9198a1 }
    .card { fill: #151b23; stroke: #3d444d }
    .idle, .free { fill: #0d1117; stroke: #4d555f }
    .other { fill: #656c76 }
    .arrow { stroke: #9198a1 }
  }`;

const escape = (text: string): string =>
  text
    .replace(/\p{C}/gu, "�")
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;");

const at = (value: number): string => String(Number(value.toFixed(2)));

const text = (x: number, y: number, className: string, content: string): string =>
  `<text x="${at(x)}" y="${at(y)}" class="${className}">${escape(content)}</text>`;

const box = (
  [x, y, width, height]: readonly [number, number, number, number],
  attributes: string,
): string =>
  `<rect x="${at(x)}" y="${at(y)}" width="${at(width)}" height="${at(height)}" ${attributes}/>`;

const cpuGrid = (cpus: number) => {
  const perRow = cpus <= 8 ? Math.max(cpus, 1) : cpus <= 32 ? 8 * Math.ceil(cpus / 16) : 16;
  const pitch = Math.min(inner / perRow, 24);
  return { perRow, pitch, height: Math.max(1, Math.ceil(cpus / perRow)) * Math.min(pitch, 16) };
};

const drawCpus = ({ cpus }: NodeScene, x: number, y: number): string => {
  if (cpus.length === 0) return text(x, y + 12, "note", "no CPUs");
  const { perRow, pitch } = cpuGrid(cpus.length);
  const row = Math.min(pitch, 16);
  return cpus
    .map(({ guest }, i) => {
      const place = [
        x + (i % perRow) * pitch + 0.5,
        y + Math.floor(i / perRow) * row + 0.5,
        pitch - 3,
        row - 3,
      ] as const;
      const fill = guest === undefined ? `class="idle"` : `fill="${colorOf(guest)}"`;
      return box(place, `rx="2" ${fill}`);
    })
    .join("");
};

const drawMemory = (node: NodeScene, x: number, y: number): string => {
  const scale = (bytes: number) =>
    node.memoryBytes === 0 ? 0 : (bytes / node.memoryBytes) * inner;
  const parts = [
    ...node.tenants.map(({ guest, bytes, desired }) => ({
      bytes,
      fill: `fill="${colorOf(guest)}"${desired === "offline" ? ` fill-opacity="0.45"` : ""}`,
    })),
    { bytes: node.otherBytes, fill: `class="other"` },
  ];
  let left = x;
  const bars = parts.map(({ bytes, fill }) => {
    const width = scale(bytes);
    const bar = box([left, y, width, barHeight], fill);
    left += width;
    return width > 0 ? bar : "";
  });
  return box([x, y, inner, barHeight], `class="free"`) + bars.join("");
};

const tenantText = ({ vnode, desired, onlineVcpus, vcpus, bytes }: Tenant): string => {
  if (desired === "offline") return `vnode ${vnode}: offline, keeps ${formatBytes(bytes)}`;
  const online = onlineVcpus === vcpus.length ? "" : `${onlineVcpus} of `;
  return `vnode ${vnode}: ${online}${vcpus.length} vCPUs, ${formatBytes(bytes)}`;
};

/** Vnodes of a card beyond these are counted, not listed. */
const mostListed = 4;

const listedRows = ({ tenants }: NodeScene): number => Math.min(tenants.length, mostListed + 1);

const drawTenants = ({ tenants }: NodeScene, x: number, y: number): string => {
  const listed = tenants.slice(0, tenants.length > mostListed + 1 ? mostListed : mostListed + 1);
  const rows = listed.map((tenant, i) => {
    const base = y + i * lineHeight;
    const dot = box(
      [x, base + 3, 9, 9],
      `rx="4.5" fill="${colorOf(tenant.guest)}"${tenant.desired === "offline" ? ` fill-opacity="0.45"` : ""}`,
    );
    return dot + text(x + 14, base + 12, "line", tenantText(tenant));
  });
  const more = tenants.length - listed.length;
  const rest =
    more > 0
      ? text(x + 14, y + listed.length * lineHeight + 12, "note", `and ${more} more vnodes`)
      : "";
  return rows.join("") + rest;
};

const drawCard = (
  node: NodeScene,
  x: number,
  y: number,
  height: number,
  cpuRows: number,
): string => {
  const left = x + inset;
  const cpus = y + 30;
  const memory = cpus + cpuRows + 8;
  const bytes = `${formatBytes(node.freeBytes)} of ${formatBytes(node.memoryBytes)} free`;
  return [
    box([x, y, cardWidth, height], `rx="8" class="card"`),
    text(left, y + 20, "node", `pnode ${node.pnode}`),
    drawCpus(node, left, cpus),
    drawMemory(node, left, memory),
    text(left, memory + barHeight + 14, "note", bytes),
    drawTenants(node, left, memory + barHeight + 22),
  ].join("");
};

const layout = (scenes: ReadonlyArray<ReadonlyArray<NodeScene>>) => {
  const nodes = scenes.flat();
  const count = Math.max(...scenes.map((scene) => scene.length), 1);
  const across = count === 1 ? 1 : count <= 8 ? 2 : count <= 16 ? 4 : 8;
  const cpuRows = Math.max(...nodes.map(({ cpus }) => cpuGrid(cpus.length).height), 0);
  const rows = Math.max(...nodes.map(listedRows), 0);
  const cardHeight = 30 + cpuRows + 8 + barHeight + 22 + rows * lineHeight + 8;
  const panelWidth = across * (cardWidth + gap) - gap;
  const panelHeight = Math.ceil(count / across) * (cardHeight + gap) - gap;
  return { across, cpuRows, cardHeight, panelWidth, panelHeight };
};

type Layout = ReturnType<typeof layout>;

const drawPanel = (scene: ReadonlyArray<NodeScene>, x: number, y: number, grid: Layout): string =>
  scene
    .map((node, i) =>
      drawCard(
        node,
        x + (i % grid.across) * (cardWidth + gap),
        y + Math.floor(i / grid.across) * (grid.cardHeight + gap),
        grid.cardHeight,
        grid.cpuRows,
      ),
    )
    .join("\n");

const drawLegend = ({ guests }: Topology, x: number, y: number, width: number) => {
  const entries = [
    ...guests.map(({ name, domain }, i) => ({
      fill: `fill="${colorOf(i)}"`,
      label: `${name} (domain ${domain})`,
    })),
    { fill: `class="other"`, label: "other" },
    { fill: `class="idle"`, label: "idle, free" },
  ];
  let left = x;
  let top = y;
  const drawn = entries.map(({ fill, label }) => {
    const wide = 24 + label.length * 7;
    if (left > x && left + wide > x + width) {
      left = x;
      top += lineHeight + 4;
    }
    const entry =
      box([left + 0.5, top + 0.5, 12, 12], `rx="2" ${fill}`) +
      text(left + 18, top + 11, "line", label);
    left += wide + 8;
    return entry;
  });
  return { svg: drawn.join(""), bottom: top + lineHeight };
};

const describe = (topologies: ReadonlyArray<Topology>): string =>
  topologies
    .map(({ host, guests }, i) => {
      const lines = guests.map(({ name, vnodes }) => {
        const online = vnodes.filter(({ desired }) => desired === "online").map(({ id }) => id);
        return `${name} uses vnodes ${online.join(", ")} of ${vnodes.length}`;
      });
      const when = topologies.length === 2 ? (i === 0 ? "Before: " : "After: ") : "";
      return `${when}a host of ${host.pnodes.length} pnodes; ${lines.join("; ")}.`;
    })
    .join(" ");

/**
 * Draws one topology, or two of the same host side by side.
 *
 * @since 0.1.0
 */
export const drawSvg = (
  topologies: readonly [Topology] | readonly [before: Topology, after: Topology],
  { title = "NUMA topology" }: SvgOptions = {},
): string => {
  const scenes = topologies.map(sceneOf);
  const grid = layout(scenes);
  const width = gap * 2 + grid.panelWidth * scenes.length + aisle * (scenes.length - 1);
  const top = scenes.length === 2 ? 66 : 42;
  const panels = scenes.map((scene, i) => {
    const x = gap + i * (grid.panelWidth + aisle);
    const heading = scenes.length === 2 ? text(x, 56, "panel", i === 0 ? "before" : "after") : "";
    return heading + drawPanel(scene, x, top, grid);
  });
  const middle = top + grid.panelHeight / 2;
  const start = gap + grid.panelWidth + 10;
  const end = start + aisle - 20;
  const arrow =
    scenes.length === 2
      ? `<path class="arrow" d="M${start} ${at(middle)}H${end}m-8 -7l8 7l-8 7"/>`
      : "";
  const legendTop = top + grid.panelHeight + 16;
  const legend = drawLegend(topologies[0], gap, legendTop, width - 2 * gap);
  const height = legend.bottom + gap;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${at(width)}" height="${at(height)}" viewBox="0 0 ${at(width)} ${at(height)}" role="img" aria-labelledby="title desc">`,
    `<title id="title">${escape(title)}</title>`,
    `<desc id="desc">${escape(describe(topologies))}</desc>`,
    `<style>${style}\n</style>`,
    text(gap, 28, "title", title),
    ...panels,
    arrow,
    legend.svg,
    `</svg>\n`,
  ].join("\n");
};
