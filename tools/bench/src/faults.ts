/**
 * `npm run bench -- faults [--runs N] [--seed S] [--json]`: changes of a guest on a real Xen (the lab) while something goes wrong. Run i has the
 * seed S + i, from which all of it follows, so that `--runs 1 --seed S` repeats one. The exit status is 1 if anything is not as it should be.
 */
import { Faults, sharedLab } from "@virtflex/lab";
import { Console, Effect } from "effect";
import { numberOption } from "./Arguments.ts";

const runs = numberOption("runs", 10);
const seed = numberOption("seed", 1);

const say = (line: string) => Effect.sync(() => void process.stderr.write(`${line}\n`));

/** One line a fault: how many runs, how they ended. */
const tally = (outcomes: ReadonlyArray<Faults.Outcome>): string => {
  const rows = Faults.faults.flatMap((fault) => {
    const own = outcomes.filter((outcome) => outcome.fault === fault);
    const count = (guest: Faults.Outcome["guest"]) =>
      own.filter((each) => each.guest === guest).length;
    const wrong = own.filter((each) => each.wrong.length > 0).length;
    return own.length === 0
      ? []
      : [
          `| ${fault} | ${own.length} | ${count("before")} | ${count("after")} | ${count("gone")} | ${wrong} |`,
        ];
  });
  return [
    "| fault | runs | state before | state after | guest gone | wrong |",
    "|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
};

const bench = Effect.gen(function* () {
  if (!(Number.isSafeInteger(runs) && runs > 0 && Number.isSafeInteger(seed))) {
    yield* say("faults: --runs is a number from 1 on, --seed a whole number");
    process.exitCode = 2;
    return;
  }
  yield* say(`faults: ${runs} runs, seeds ${seed} to ${seed + runs - 1}`);
  const lab = yield* sharedLab("faults", say);
  const scenarios = Array.from({ length: runs }, (_, i) => Faults.scenarioOf(seed + i));
  const outcomes = yield* Faults.runAll(
    lab,
    scenarios,
    ({ seed, op, fault, step, status, guest, wrong }) =>
      say(
        `seed ${seed}: ${op}, ${fault} at step ${step}: status ${status}, guest as ${guest}${wrong.map((each) => `\n  WRONG: ${each}`).join("")}`,
      ),
  );
  yield* Console.log(
    process.argv.includes("--json") ? JSON.stringify({ seed, outcomes }, null, 2) : tally(outcomes),
  );
  if (outcomes.some(({ wrong }) => wrong.length > 0)) process.exitCode = 1;
});

await Effect.runPromise(Effect.scoped(bench));
