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
import { choose } from "./meter/Choice.ts";
import { type Walked, walkerOnly, walkPairs } from "./meter/KnownTruth.ts";
import { ask } from "./meter/Meter.ts";
import * as PlainLinux from "./meter/PlainLinux.ts";
import { socketOf } from "./meter/Plugin.ts";
import { type Matrix, misses } from "./meter/Reading.ts";
import * as Shape from "./Shape.ts";
import * as Stage from "./Stage.ts";
import { meterStage } from "./stages.ts";

const say = (line: string) => Effect.sync(() => console.log(`lab: ${line}`));

const size = { mib: 16, passes: 4 };

const percent = (share: number) => (100 * share).toFixed(3);

/** A matrix: rows are the node of the CPU, columns that of the memory, in % of the walker's misses. */
const table = (where: string, walked: ReadonlyArray<Walked>) =>
  Effect.gen(function* () {
    const nodes = Math.sqrt(walked.length);
    yield* say(
      `${where}: misses in the right cell, %, by node of the CPU (rows) and of the memory`,
    );
    for (let from = 0; from < nodes; from++) {
      const row = walked.filter((each) => each.from === from);
      yield* say(row.map(({ share }) => percent(share).padStart(9)).join(""));
    }
    for (const each of walked.filter(({ good }) => !good))
      yield* say(`NOT SO: ${JSON.stringify(each)}`);
    const failed = walked.filter(({ good }) => !good).length;
    return { passed: walked.length - failed, failed };
  });

const all = (matrix: Matrix) => matrix.flat().reduce((sum, count) => sum + count, 0);

/** Beside the guest that is counted. */
const otherGuest = `name = "other"
memory = 256
maxmem = 256
vcpus = 1
cpus = ["0"]
vnuma = [ ["pnode=0", "size=256", "vcpus=0", "vdistances=10"] ]
`;

const plain = Effect.scoped(
  Effect.gen(function* () {
    const shape = yield* Shape.make({ nodes: 4, cpus: 4, memory: "2560M" });
    const machine = yield* PlainLinux.boot(shape, walkerOnly);
    const walked = yield* walkPairs(shape.nodes, machine.socket, size, (from, to) =>
      machine.walk(from, to, size.mib, size.passes),
    );
    return yield* table("plain Linux", walked);
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
      meter: [...walkerOnly, "guest=chosen"],
      report: say,
    });
    yield* Lab.startGuest(lab, say);
    const guest = yield* lab.guest();
    const walker = readFileSync(join(built.meter, "walk"));
    yield* guest.push(walker, "/root/walk", "755");
    const cpusPerVnode = shape.cpus / shape.nodes;
    const socket = socketOf(lab.status.state);
    const counted = (host: Lab.Host) =>
      Effect.gen(function* () {
        yield* host.check(`/root/walk 0 0 ${String(size.mib)} 1`);
        return all(misses(yield* ask(socket, "read")));
      });
    const before = yield* counted(guest);
    yield* choose(guest);
    yield* lab.createGuest(otherGuest);
    const other = yield* lab.guest("other");
    for (const host of [other, lab.dom0]) {
      yield* host.push(walker, "/root/walk", "755");
    }
    const others = (yield* counted(other)) + (yield* counted(lab.dom0));
    const apart = before === 0 && others === 0;
    yield* say(
      `counted before the guest was chosen: ${String(before)}, of another guest and dom0 after it: ${String(others)}` +
        (apart ? "" : ": NOT SO"),
    );
    const walked = yield* walkPairs(shape.nodes, socket, size, (from, to) =>
      guest.check(
        `/root/walk ${[from * cpusPerVnode, to, size.mib, size.passes].map(String).join(" ")}`,
      ),
    );
    const { passed, failed } = yield* table("PVH guest", walked);
    return { passed: passed + (apart ? 1 : 0), failed: failed + (apart ? 0 : 1) };
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
