/**
 * The demonstration for people: a picture of the guest while it runs, a table and a timeline at the end.
 *
 * @since 0.1.0
 */
import type { DemoDocument, Moment, Phase, View } from "./Demo.ts";
import { cpusOf, type Observation } from "./Observer.ts";
import { vnodeMiB } from "./Subject.ts";

const width = 24;

/** One row a vnode: its memory, and the program's threads that may run there. */
const rowsOf = ({ vnodes, threads, generation, runtimes }: Observation): ReadonlyArray<string> => [
  ...vnodes.map(({ state, actualKiB }, vnode) => {
    const full = Math.min(width, Math.round((actualKiB / 1024 / vnodeMiB) * width));
    const here = threads.filter((list) => cpusOf(list).includes(vnode)).length;
    return `  vnode ${String(vnode)} ${"█".repeat(full).padEnd(width, "░")} ${(actualKiB / 1024).toFixed(0).padStart(4)} MiB  ${state.padEnd(10)}  ${"●".repeat(here)}`;
  }),
  `  generation ${String(generation)}, ${runtimes} programs adapted, ${String(threads.length)} threads`,
];

/** Draws anew on a terminal; elsewhere says one line for each state of a request. @since 0.1.0 */
export const makeView = (out: NodeJS.WriteStream): View => {
  const terminal = out.isTTY && process.env["TERM"] !== "dumb";
  let drawn = 0;
  let state = "";
  const erase = () => {
    if (drawn > 0) out.write(`\x1b[${String(drawn)}A\x1b[J`);
    drawn = 0;
  };
  return {
    say: (line) => {
      erase();
      out.write(`${line}\n`);
    },
    draw: (now) => {
      if (terminal) {
        erase();
        const rows = rowsOf(now);
        out.write(`${rows.join("\n")}\n`);
        drawn = rows.length;
      } else if (now.state !== state) {
        state = now.state;
        out.write(
          `guest: ${state}, generation ${String(now.generation)}, ${now.runtimes} programs adapted, threads on CPUs ${now.threads.join(" ")}\n`,
        );
      }
    },
  };
};

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
};

const seconds = (ms: number | null) => (ms === null ? "never" : `${(ms / 1000).toFixed(2)} s`);

const phaseRow = (phase: Phase) => [
  phase.op,
  phase.result,
  `${String(phase.vnodesBefore)} → ${String(phase.vnodesAfter)}`,
  `${String(phase.threadsBefore)} → ${String(phase.threadsAfter)}`,
  `${phase.cpusBefore} → ${phase.cpusAfter}`,
  seconds(phase.adaptedMs),
  seconds(phase.elapsedMs),
];

const momentRow = ({ what, by, atMs, errorMs, detail }: Moment) => [
  `${(atMs / 1000).toFixed(3)} s`,
  `± ${(errorMs / 1000).toFixed(3)}`,
  detail === undefined ? what : `${what}: ${detail}`,
  by,
];

/** Table and timeline. @since 0.1.0 */
export const textOf = ({ phases, clock, result, verified, repetitions }: DemoDocument): string =>
  [
    table([
      ["PHASE", "RESULT", "VNODES", "THREADS", "ON CPUS", "ACKNOWLEDGED", "TOOK"],
      ...phases.map(phaseRow),
    ]),
    ...phases.flatMap(({ op, timeline, reason }) => [
      "",
      reason === undefined ? op : `${op}: ${reason}`,
      table([["SINCE THE REQUEST", "", "WHAT", "WHO SAYS SO"], ...timeline.map(momentRow)]),
    ]),
    "",
    `Times are by the clock of ${clock.of}; dom0's and the guest's CLOCK_REALTIME were read from there, ` +
      `and are known within ${clock.dom0.errorMs.toFixed(1)} and ${clock.guest.errorMs.toFixed(1)} ms.`,
    `${result}: ${String(repetitions)} repetitions of CG, ${verified ? "each result right" : "NOT each result right"}`,
  ].join("\n");
