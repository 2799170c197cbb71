/**
 * The matrix of a reading, for a terminal and as SVG: rows are the node of the
 * CPU, columns the node of the memory, shades the share of the row.
 *
 * @since 0.1.0
 */
import { type Matrix, matrixOf, type Reading, remoteShare } from "./Reading.ts";

const shades = [" ", "░", "▒", "▓", "█"] as const;

const shareOfRow = (row: ReadonlyArray<number>, count: number): number => {
  const all = row.reduce((sum, each) => sum + each, 0);
  return all === 0 ? 0 : count / all;
};

const shade = (share: number): string =>
  shades[Math.min(shades.length - 1, Math.ceil(share * (shades.length - 1)))] ?? " ";

const count = (value: number): string =>
  value >= 1e9
    ? `${(value / 1e9).toFixed(1)}G`
    : value >= 1e6
      ? `${(value / 1e6).toFixed(1)}M`
      : value >= 1e3
        ? `${(value / 1e3).toFixed(1)}k`
        : String(value);

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** Lines of text, without colours. @since 0.1.0 */
export const terminal = (title: string, matrix: Matrix): string => {
  const nodes = matrix.map((_, node) => node);
  const head = `${"".padEnd(12)}${nodes.map((node) => `memory ${node}`.padStart(12)).join("")}`;
  const rows = matrix.map((row, node) => {
    const cells = row.map((value) => {
      const mark = shade(shareOfRow(row, value)).repeat(2);
      return `${mark} ${count(value)}`.padStart(12);
    });
    return `CPUs of ${node}`.padEnd(12) + cells.join("");
  });
  return [title, head, ...rows, `remote: ${percent(remoteShare(matrix))}`].join("\n");
};

const total = (matrix: Matrix): number => matrix.flat().reduce((sum, each) => sum + each, 0);

/** Loads and stores apart, a line each. @since 0.1.0 */
export const accesses = (reading: Reading): string =>
  (["load", "store"] as const)
    .map((kind) => {
      const all = count(total(matrixOf(reading, [`${kind}s`])));
      return `${kind}s: ${all}, ${count(total(matrixOf(reading, [`${kind}Misses`])))} of them missed`;
    })
    .join("\n");

const cell = { width: 84, height: 44, left: 96, top: 64 };

/** A picture of its own, readable on a light and on a dark page. @since 0.1.0 */
export const svg = (title: string, matrix: Matrix): string => {
  const size = matrix.length;
  const width = cell.left + size * cell.width + 16;
  const height = cell.top + size * cell.height + 40;
  const text = (x: number, y: number, content: string, extra = "") =>
    `<text x="${x}" y="${y}" ${extra}>${content}</text>`;
  const escaped = title.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const cells = matrix.flatMap((row, from) =>
    row.map((value, to) => {
      const share = shareOfRow(row, value);
      const x = cell.left + to * cell.width;
      const y = cell.top + from * cell.height;
      const hue = from === to ? "#1a7f5a" : "#c2410c";
      return [
        `<rect x="${x + 1}" y="${y + 1}" width="${cell.width - 2}" height="${cell.height - 2}" rx="4" fill="${hue}" fill-opacity="${share.toFixed(3)}" stroke="#888" stroke-opacity="0.4"/>`,
        text(
          x + cell.width / 2,
          y + cell.height / 2 + 5,
          count(value),
          `text-anchor="middle"${share > 0.55 ? ' fill="#fff"' : ""}`,
        ),
      ].join("");
    }),
  );
  const labels = matrix.flatMap((_, node) => [
    text(
      cell.left + node * cell.width + cell.width / 2,
      cell.top - 10,
      `memory ${node}`,
      'text-anchor="middle"',
    ),
    text(
      cell.left - 10,
      cell.top + node * cell.height + cell.height / 2 + 5,
      `CPUs of ${node}`,
      'text-anchor="end"',
    ),
  ]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13" fill="#777">`,
    `<title>${escaped}</title>`,
    text(16, 26, escaped, 'font-size="15" font-weight="bold"'),
    ...labels,
    ...cells,
    text(16, height - 14, `remote: ${percent(remoteShare(matrix))}`),
    "</svg>",
    "",
  ].join("\n");
};
