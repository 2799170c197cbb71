/**
 * `npm run lab:meter [-- plain|xen]`: checks the NUMA meter against known truth. A program on a CPU of each node walks memory of
 * each node, on plain Linux and in the lab's PVH guest; its misses must be in the cell of the two nodes, and as many as it has lines. In the
 * guest, nothing else may be counted.
 */
import { NodeRuntime } from "@effect/platform-node";
import { Effect } from "effect";
import { InvalidOption, type LabError } from "./LabError.ts";
import { type Walked, walkerOnly, walkPairs } from "./meter/KnownTruth.ts";
import * as PlainLinux from "./meter/PlainLinux.ts";
import * as PvhGuest from "./meter/PvhGuest.ts";
import * as Shape from "./Shape.ts";

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
    const { others, walked } = yield* PvhGuest.check(size, say);
    const { passed, failed } = yield* table("PVH guest", walked);
    const apart = others === 0;
    yield* say(
      `counted in this guest before it was chosen, in another and in dom0: ${String(others)}${apart ? "" : ": NOT SO"}`,
    );
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
