/**
 * What happened during a demonstration, as a picture: the program's threads
 * over time, and below it which vnodes were in use.
 */

/** Milliseconds since the program was started. */
type Instant = number;

export interface ThreadSample {
  readonly at: Instant;
  /** Threads that the program has. */
  readonly threads: number;
}

/** What a vnode was from then on. */
export interface VnodeChange {
  readonly at: Instant;
  readonly vnode: number;
  readonly state: "online" | "evacuating" | "offline";
}

export interface TimelinePhase {
  readonly op: string;
  readonly started: Instant;
  /** When every program had adapted. */
  readonly adapted: Instant | undefined;
  readonly ended: Instant;
  readonly result: "done" | "rolled-back";
}

export interface Timeline {
  readonly title: string;
  readonly end: Instant;
  readonly samples: ReadonlyArray<ThreadSample>;
  readonly vnodes: ReadonlyArray<VnodeChange>;
  readonly phases: ReadonlyArray<TimelinePhase>;
}

const width = 960;
const left = 72;
const right = 24;
const top = 84;
const plotHeight = 180;
const laneHeight = 22;
const colors = { online: "#2f9e6e", evacuating: "#e8a33d", offline: "#d8dde3" } as const;
const ink = "#1f2933";
const faint = "#7b8794";

const escape = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** A round number of milliseconds between two marks, about eight of them. */
const markEvery = (end: number): number => {
  const rough = end / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? rough;
};

const text = (
  x: number,
  y: number,
  content: string,
  { size = 13, fill = ink, anchor = "start", weight = "normal" } = {},
) =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" font-size="${size}" fill="${fill}" ` +
  `text-anchor="${anchor}" font-weight="${weight}">${escape(content)}</text>`;

const rectangle = (x: number, y: number, w: number, h: number, fill: string, extra = "") =>
  `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${Math.max(0, w).toFixed(1)}" height="${h}" fill="${fill}"${extra}/>`;

const line = (x1: number, y1: number, x2: number, y2: number, stroke: string, extra = "") =>
  `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${stroke}"${extra}/>`;

/** An SVG document; it stands on its own, on a light ground. */
export const timelineSvg = ({ title, end, samples, vnodes, phases }: Timeline): string => {
  const x = (at: Instant) => left + (at / end) * (width - left - right);
  const most = Math.max(1, ...samples.map(({ threads }) => threads));
  const y = (threads: number) => top + plotHeight - (threads / (most + 0.5)) * plotHeight;
  const ids = [...new Set(vnodes.map(({ vnode }) => vnode))].sort((a, b) => a - b);
  const lanesTop = top + plotHeight + 44;
  const height = lanesTop + ids.length * laneHeight + 52;
  const bottom = lanesTop + ids.length * laneHeight;

  const bands = phases.flatMap(({ op, started, adapted, ended, result }) => {
    const label = result === "done" ? op : `${op}, rolled back`;
    const fill = result === "done" ? "#dbe9f6" : "#f8dcdc";
    const mark =
      adapted === undefined
        ? []
        : [line(x(adapted), top, x(adapted), bottom, "#2563a8", ' stroke-dasharray="3 3"')];
    return [
      rectangle(x(started), top, Math.max(2, x(ended) - x(started)), bottom - top, fill),
      ...mark,
      text(x(started), top - 8, label, { weight: "bold" }),
    ];
  });
  const axis = Array.from({ length: most + 1 }, (_, threads) => [
    line(left, y(threads), width - right, y(threads), "#e4e7eb"),
    text(left - 10, y(threads) + 4, String(threads), { anchor: "end", fill: faint }),
  ]).flat();
  const path = samples
    .map(({ at, threads }, i) =>
      i === 0
        ? `M${x(at).toFixed(1)} ${y(threads).toFixed(1)}`
        : `H${x(at).toFixed(1)}V${y(threads).toFixed(1)}`,
    )
    .join("");
  const lanes = ids.flatMap((vnode, lane) => {
    const laneY = lanesTop + lane * laneHeight;
    const own = vnodes.filter((change) => change.vnode === vnode);
    const bars = own.map(({ at, state }, i) =>
      rectangle(x(at), laneY, x(own[i + 1]?.at ?? end) - x(at), laneHeight - 6, colors[state]),
    );
    return [...bars, text(left - 10, laneY + 12, `vnode ${vnode}`, { anchor: "end", size: 12 })];
  });
  const step = markEvery(end);
  const marks = Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => [
    line(x(i * step), bottom, x(i * step), bottom + 5, faint),
    text(x(i * step), bottom + 20, `${Number(((i * step) / 1000).toFixed(3))} s`, {
      anchor: "middle",
      size: 12,
      fill: faint,
    }),
  ]).flat();
  const legend = Object.entries(colors).flatMap(([name, fill], i) => [
    rectangle(left + i * 120, bottom + 32, 12, 12, fill),
    text(left + i * 120 + 18, bottom + 42, name, { size: 12, fill: faint }),
  ]);

  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif">`,
    rectangle(0, 0, width, height, "#ffffff"),
    text(left, 32, title, { size: 18, weight: "bold" }),
    text(left, 52, "threads of the program; dashed: it has adapted", { fill: faint }),
    ...bands,
    ...axis,
    `<path d="${path}H${x(end).toFixed(1)}" fill="none" stroke="${ink}" stroke-width="2"/>`,
    ...lanes,
    ...marks,
    ...legend,
    line(left, bottom, width - right, bottom, faint),
    "</svg>",
    "",
  ].join("\n");
};
