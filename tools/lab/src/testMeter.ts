/**
 * `npm run lab:meter [-- plain|xen]`: checks the NUMA meter against known truth. A program on a CPU of each node walks memory of
 * each node, on plain Linux and in the lab's PVH guest; its misses must be in the cell of the two nodes, and as many as it has lines.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NodeRuntime } from "@effect/platform-node";
import { Effect } from "effect";
import * as Lab from "./Lab.ts";
import { InvalidOption, type LabError } from "./LabError.ts";
import { ask } from "./meter/Meter.ts";
import * as PlainLinux from "./meter/PlainLinux.ts";
import { socketOf } from "./meter/Plugin.ts";
import { misses } from "./meter/Reading.ts";
import * as Shape from "./Shape.ts";
import * as Stage from "./Stage.ts";
import { meterStage } from "./stages.ts";

const say = (line: string) => Effect.sync(() => console.log(`lab: ${line}`));

/** The walker's instructions, and no others. */
const options = ["code=60000000-61000000"];

const mib = 16;
const passes = 4;

/** Each line misses once a pass: the walk is far larger than the cache. */
const expected = (passes * mib * 2 ** 20) / 64;

/** Of the walker's misses in the right cell, at least. */
const leastShare = 0.95;

/** The most by which their number may differ from what it must be. */
const tolerance = 0.01;

/** Walks from each node over each node's memory; how many pairs were counted right, and wrong. */
const checkPairs = Effect.fn("checkPairs")(function* <E, R>(
  where: string,
  shape: Shape.Shape,
  socket: string,
  walk: (from: number, to: number) => Effect.Effect<unknown, E, R>,
) {
  let failed = 0;
  for (let from = 0; from < shape.nodes; from++) {
    for (let to = 0; to < shape.nodes; to++) {
      yield* walk(from, to);
      const matrix = misses(yield* ask(socket, "read"));
      const all = matrix.flat().reduce((sum, count) => sum + count, 0);
      const right = matrix[from]?.[to] ?? 0;
      const good = right >= leastShare * all && Math.abs(right / expected - 1) <= tolerance;
      if (!good) failed += 1;
      yield* say(
        `${where}, CPU of node ${String(from)}, memory of node ${String(to)}: ` +
          `${((100 * right) / all).toFixed(3)} % of its misses, ${(right / expected).toFixed(4)} of the lines walked` +
          (good ? "" : `: NOT SO: ${JSON.stringify(matrix)}`),
      );
    }
  }
  return { passed: shape.nodes ** 2 - failed, failed };
});

const plain = Effect.scoped(
  Effect.gen(function* () {
    const shape = yield* Shape.make({ nodes: 4, cpus: 4, memory: "2560M" });
    const machine = yield* PlainLinux.boot(shape, options);
    return yield* checkPairs("plain Linux", shape, machine.socket, (from, to) =>
      machine.walk(from, to, mib, passes),
    );
  }),
);

const xen = Effect.scoped(
  Effect.gen(function* () {
    const shape = yield* Shape.make({});
    const built = yield* Stage.ensure({ meter: meterStage }, () => Effect.void);
    const lab = yield* Lab.up({
      name: `meter-${String(process.pid)}`,
      shape,
      flavour: { xen: "release" },
      accelerator: "auto",
      meter: options,
      report: say,
    });
    yield* Lab.startGuest(lab, say);
    const guest = yield* lab.guest();
    yield* guest.push(readFileSync(join(built.meter, "walk")), "/root/walk", "755");
    const cpusPerVnode = shape.cpus / shape.nodes;
    return yield* checkPairs("PVH guest", shape, socketOf(lab.status.state), (from, to) =>
      guest.check(`/root/walk ${[from * cpusPerVnode, to, mib, passes].map(String).join(" ")}`),
    );
  }),
);

const checks = { plain, xen };

const program = Effect.gen(function* () {
  const [which] = process.argv.slice(2);
  if (which !== undefined && which !== "plain" && which !== "xen") {
    return yield* new InvalidOption({ option: "WHICH", message: `"${which}": plain or xen` });
  }
  let passed = 0;
  let failed = 0;
  for (const check of which === undefined ? [plain, xen] : [checks[which]]) {
    const result = yield* check;
    passed += result.passed;
    failed += result.failed;
  }
  console.log(`${String(passed)} passed, ${String(failed)} failed, 0 skipped`);
  process.exitCode = failed === 0 ? 0 : 1;
});

program.pipe(
  Effect.catch((error: LabError) =>
    Effect.sync(() => {
      console.log(`lab: ${error.message}`);
      process.exitCode = 1;
    }),
  ),
  NodeRuntime.runMain,
);
