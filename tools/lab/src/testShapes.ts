/**
 * `npm run lab:shapes`: boots hosts of other shapes than the default one, each to a guest, and looks whether host and guest have the
 * shape's nodes, CPUs, memory and distances. The first two run at the same time: neither may notice the other.
 */
import { NodeRuntime } from "@effect/platform-node";
import { Clock, Effect } from "effect";
import * as Lab from "./Lab.ts";
import * as Shape from "./Shape.ts";
import type { Flavour } from "./stages.ts";

const say = (line: string) => Effect.sync(() => console.log(`lab: ${line}`));

interface Case {
  readonly options: Shape.ShapeOptions;
  readonly flavour: Flavour;
}

const together: ReadonlyArray<Case> = [
  { options: { nodes: 1, cpus: 1, memory: "2G" }, flavour: { xen: "release" } },
  {
    options: { nodes: 2, cpus: 4, memory: "3G", distances: "10,21/17,10" },
    flavour: { xen: "release" },
  },
];

const alone: ReadonlyArray<Case> = [
  { options: { nodes: 8, cpus: 8, memory: "8G", distances: "20,40" }, flavour: { xen: "release" } },
  { options: { nodes: 4, cpus: 4, memory: "4G" }, flavour: { xen: "debug" } },
];

const numbers = (text: string) =>
  text
    .trim()
    .split(/[\s,]+/)
    .map(Number);

/** Xen counts neither the firmware's pages nor its own; a node's size has the hole for PCI devices in it, too. */
const ofEight = (mebibytes: number) => Math.round(mebibytes / 8) * 8;

/** What of host and guest is not as the shape says. */
const differences = Effect.fnUntraced(function* (lab: Lab.Lab) {
  const { shape } = lab.status;
  const guest = yield* lab.guest();
  const info = yield* lab.dom0.check("xl info -n");
  const numa = info.slice(info.indexOf("numa_info"));
  const rows = [...numa.matchAll(/^ +\d+: +\d+ +\d+ +([\d,]+)$/gm)];
  const vcpus = Math.min(shape.cpus / shape.nodes, 2) * shape.nodes;
  const checks: ReadonlyArray<readonly [what: string, is: unknown, expected: unknown]> = [
    ["CPUs", Number(/^nr_cpus +: (\d+)$/m.exec(info)?.[1]), shape.cpus],
    ["memory", ofEight(Number(/^total_memory +: (\d+)$/m.exec(info)?.[1])), shape.memoryMiB],
    ["distances", rows.map((row) => numbers(row[1] ?? "")), shape.distances],
    [
      "the guest's distances",
      (yield* guest.check("cat /sys/devices/system/node/node*/distance"))
        .trim()
        .split("\n")
        .map(numbers),
      shape.distances,
    ],
    ["the guest's CPUs", Number(yield* guest.check("nproc")), vcpus],
  ];
  return checks
    .map(([what, is, expected]) => [what, JSON.stringify(is), JSON.stringify(expected)] as const)
    .filter(([, is, expected]) => is !== expected)
    .map(([what, is, expected]) => `${what}: ${is}, not ${expected}`);
});

const boot = ({ options, flavour }: Case, number: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const shape = yield* Shape.make(options);
      const began = yield* Clock.currentTimeMillis;
      const lab = yield* Lab.up({
        name: `shape-${String(process.pid)}-${String(number)}`,
        shape,
        flavour,
        accelerator: "auto",
      });
      const retries = yield* Lab.startGuest(lab, say);
      const wrong = yield* differences(lab);
      const seconds = ((yield* Clock.currentTimeMillis) - began) / 1000;
      return { wrong, end: `${seconds.toFixed(0)} s, guest retries: ${String(retries)}` };
    }),
  ).pipe(
    Effect.catch((error) => Effect.succeed({ wrong: [error.message], end: "" })),
    Effect.tap(({ wrong, end }) => {
      const what = `${JSON.stringify(options)}, Xen ${flavour.xen}`;
      return say(wrong.length === 0 ? `${what}: ok, ${end}` : `${what}: ${wrong.join("; ")}`);
    }),
    Effect.map(({ wrong }) => wrong.length === 0),
  );

const program = Effect.gen(function* () {
  const ends = [
    ...(yield* Effect.forEach(together, boot, { concurrency: "unbounded" })),
    ...(yield* Effect.forEach(alone, boot)),
  ];
  const failed = ends.filter((good) => !good).length;
  console.log(`${String(ends.length - failed)} passed, ${String(failed)} failed, 0 skipped`);
  process.exitCode = failed === 0 ? 0 : 1;
});

NodeRuntime.runMain(program);
