/**
 * A demonstration's changes as an SVG: a row a moment, on one clock, coloured by the tier that says so.
 *
 * @since 0.1.0
 */
import type { DemoDocument, Moment, Phase } from "./Demo.ts";

const layout = { left: 190, plot: 560, right: 70, row: 26, head: 62, gap: 34 };
const width = layout.left + layout.plot + layout.right;

const palette = ["#2563eb", "#c2410c", "#1a7f5a", "#9333ea", "#64748b"];

const escaped = (text: string) =>
  text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");

const text = (x: number, y: number, content: string, extra = "") =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${extra}>${escaped(content)}</text>`;

/** The tier without what it is told by: "libgomp, by virtflex.ko" is libgomp's word. */
const tierOf = ({ by }: Moment) => by.replace(/,.*/, "");

const block = (phase: Phase, top: number, colour: (moment: Moment) => string) => {
  const end = Math.max(1, ...phase.timeline.map(({ atMs, errorMs }) => atMs + errorMs));
  const x = (ms: number) => layout.left + (Math.max(0, ms) / end) * layout.plot;
  const rows = phase.timeline.map((moment, index) => {
    const { what, atMs, errorMs, detail } = moment;
    const y = top + layout.row * (index + 1);
    const fill = colour(moment);
    const time = `${(atMs / 1000).toFixed(2)} s`;
    const late = atMs > end * 0.8;
    return [
      text(layout.left - 12, y + 4, what, 'text-anchor="end"'),
      `<line x1="${layout.left}" x2="${layout.left + layout.plot}" y1="${y}" y2="${y}" stroke="#888" stroke-opacity="0.25"/>`,
      `<line x1="${x(atMs - errorMs).toFixed(1)}" x2="${x(atMs + errorMs).toFixed(1)}" y1="${y}" y2="${y}" stroke="${fill}" stroke-width="3" stroke-opacity="0.5"/>`,
      `<circle cx="${x(atMs).toFixed(1)}" cy="${y}" r="5" fill="${fill}"><title>${escaped(detail ?? what)}</title></circle>`,
      text(
        x(atMs) + (late ? -10 : 10),
        y - 4,
        time,
        `text-anchor="${late ? "end" : "start"}" font-size="11"`,
      ),
    ].join("");
  });
  const title = `${phase.op}: ${phase.vnodesBefore} → ${phase.vnodesAfter} vnodes, ${phase.threadsBefore} → ${phase.threadsAfter} threads`;
  return [text(16, top, title, 'font-weight="bold"'), ...rows];
};

/** Readable on a light and on a dark page. @since 0.1.0 */
export const timelineSvg = ({ phases }: DemoDocument): string => {
  const tiers = [...new Set(phases.flatMap(({ timeline }) => timeline.map(tierOf)))];
  const colourOf = (tier: string) => palette[tiers.indexOf(tier) % palette.length] ?? "#888";
  let top = layout.head + layout.gap;
  const blocks = phases.flatMap((phase) => {
    const lines = block(phase, top, (moment) => colourOf(tierOf(moment)));
    top += layout.row * (phase.timeline.length + 1) + layout.gap;
    return lines;
  });
  const legend = tiers.map((tier, index) => {
    const at = 16 + index * 150;
    return `<circle cx="${at + 5}" cy="${layout.head - 4}" r="5" fill="${colourOf(tier)}"/>${text(at + 16, layout.head, tier)}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}" viewBox="0 0 ${width} ${top}" font-family="sans-serif" font-size="13" fill="#777">`,
    "<title>A guest's topology changes while NAS CG runs</title>",
    text(
      16,
      28,
      "A guest's topology changes while NAS CG runs, in seconds since the request",
      'font-size="15" font-weight="bold"',
    ),
    ...legend,
    ...blocks,
    "</svg>",
    "",
  ].join("\n");
};
