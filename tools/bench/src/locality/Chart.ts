/** Bars as SVG: each is a multiple of the ideal, which is a line. */

export interface Group {
  readonly name: string;
  readonly bars: ReadonlyArray<{
    readonly name: string;
    readonly ratio: number;
    readonly note: string;
  }>;
}

/** Okabe and Ito's colours, which people tell apart however they see colours. */
const palette = ["#0072b2", "#d55e00", "#e69f00", "#009e73"] as const;

const row = 22;
const left = 150;
const unit = 180;
const top = 52;

const escaped = (text: string) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

/** Readable on a light and on a dark page. */
export const chart = (title: string, groups: ReadonlyArray<Group>): string => {
  const most = Math.max(1, ...groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio)));
  const width = left + most * unit + 220;
  const parts: Array<string> = [];
  const text = (x: number, y: number, content: string, extra = "") =>
    parts.push(`<text x="${x.toFixed(1)}" y="${y}" ${extra}>${escaped(content)}</text>`);
  let y = top;
  for (const group of groups) {
    text(16, y + 15, group.name, 'font-weight="bold"');
    y += row;
    for (const [index, { name, ratio, note }] of group.bars.entries()) {
      const fill = palette[index % palette.length] ?? palette[0];
      parts.push(
        `<rect x="${left}" y="${y + 2}" width="${(ratio * unit).toFixed(1)}" height="${row - 4}" rx="3" fill="${fill}"/>`,
      );
      text(left - 8, y + 16, name, 'text-anchor="end"');
      text(left + ratio * unit + 6, y + 16, `${ratio.toFixed(3)} ×, ${note}`);
      y += row;
    }
    y += 8;
  }
  const ideal = left + unit;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width.toFixed(0)}" height="${y + 12}" viewBox="0 0 ${width.toFixed(0)} ${y + 12}" font-family="sans-serif" font-size="13" fill="#777">`,
    `<title>${escaped(title)}</title>`,
    `<text x="16" y="26" font-size="15" font-weight="bold">${escaped(title)}</text>`,
    ...parts,
    `<line x1="${ideal}" y1="${top - 6}" x2="${ideal}" y2="${y}" stroke="#777" stroke-dasharray="4 3"/>`,
    "</svg>",
    "",
  ].join("\n");
};
