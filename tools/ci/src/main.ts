/**
 * What `npm test` runs: every check and every test of the tree, one stage
 * after the other, whatever failed before. `--lab` adds the real Xen host,
 * which is built meanwhile.
 * Its end names what failed; the last line adds up all runners. A stage that
 * fails without a failed test counts as one.
 */
import { spawn } from "node:child_process";
import { add, type Counts, countsOf, failuresOf, format, none } from "./counts.ts";

interface Stage {
  readonly name: string;
  readonly command: ReadonlyArray<string>;
}

const nx = (targets: string): ReadonlyArray<string> => [
  "nx",
  "run-many",
  "-t",
  ...targets.split(" "),
  "--nxBail=false",
  "--output-style=stream-without-prefixes",
];

const stages: ReadonlyArray<Stage> = [
  { name: "formatting", command: ["prettier", "--check", "."] },
  { name: "build, lint, types", command: nx("build lint typecheck") },
  { name: "dead exports and dependencies", command: ["knip"] },
  {
    name: "published types",
    command: ["attw", "--pack", "packages/xen-control", "--profile", "esm-only"],
  },
  { name: "tests", command: nx("test") },
];

const gccTests: Stage = {
  name: "GCC's own libgomp testsuite, C",
  command: ["gcc-libgomp/testsuite.sh", "c"],
};

/** Not among them: those of the kernel module and of Xen that take long (docs/kernel-module.md, xen/README.md). */
const lab: Stage = {
  name: "lab: a real Xen host",
  command: [
    ...["npm", "run", "test:lab", "--", "tools/lab", "packages/xen-control", "packages/cli"],
    "kernel/module/test-lab/(module|autoload|stock|states)",
    "xen/test-lab/(dom0|rehome)",
  ],
};

/** Takes some quarter of an hour where nothing is cached, so it goes on beside the tests, on what they leave of the CPUs. */
const buildLab = (): void => {
  const child = spawn("nice", ["-n", "19", "node", "tools/lab/dist/main.js", "build"], {
    stdio: "inherit",
  });
  const end = () => child.kill();
  process.on("exit", end);
  child.on("exit", (code) => {
    process.off("exit", end);
    if (code !== 0)
      console.log("lab: not built beside the tests; it is tried again before its own");
  });
};

interface Result {
  readonly counts: Counts;
  readonly failures: ReadonlyArray<string>;
}

const run = (stage: Stage): Promise<Result> =>
  new Promise((resolve) => {
    console.log(`\n=== ${stage.name}: ${stage.command.join(" ")}`);
    const [file = "", ...args] = stage.command;
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        process.stdout.write(chunk);
      });
    }
    child.on("error", (error) => {
      console.log(`${stage.name}: ${error.message}`);
    });
    child.on("close", (code) => {
      const counts = countsOf(text);
      const broken = code !== 0 && counts.failed === 0;
      console.log(`=== ${stage.name}: ${code === 0 ? "passed" : "FAILED"} (${format(counts)})`);
      const named = code === 0 ? [] : failuresOf(text);
      resolve({
        counts: broken ? add(counts, { ...none, failed: 1 }) : counts,
        failures: (code !== 0 && named.length === 0 ? ["no test"] : named).map(
          (failure) => `${stage.name}: ${failure}`,
        ),
      });
    });
  });

const withLab = process.argv.includes("--lab");
if (withLab) buildLab();

let total = none;
const failures: Array<string> = [];
for (const stage of withLab ? [...stages, gccTests, lab] : stages) {
  const result = await run(stage);
  total = add(total, result.counts);
  failures.push(...result.failures);
}
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`\n${format(total)}`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
