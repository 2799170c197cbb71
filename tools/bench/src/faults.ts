/**
 * `npm run bench -- faults [--runs N] [--seed S] [--json]`: changes of a guest on a real Xen (the lab) while something goes wrong. They have the
 * seeds S, S + 1, …, from each of which all follows, so that `--runs 1 --seed S` repeats one; without options each fault comes at each step once.
 * The exit status is 1 if anything is not as it should be.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime";
import { Faults, sharedLab } from "@virtflex/lab";
import { Console, Effect } from "effect";
import { numberOption } from "./Arguments.ts";

const runs = numberOption("runs", Faults.cases.length);
const seed = numberOption("seed", 1);

const say = (line: string) => Effect.sync(() => void process.stderr.write(`${line}\n`));

/** One line a fault: how many runs, in how many it came before the change was over, how they ended. */
const tally = (outcomes: ReadonlyArray<Faults.Outcome>): string => {
  const rows = Faults.faults.flatMap((fault) => {
    const own = outcomes.filter((outcome) => outcome.fault === fault);
    const count = (guest: Faults.Outcome["guest"]) =>
      own.filter((each) => each.guest === guest).length;
    const wrong = own.filter((each) => each.wrong.length > 0).length;
    return own.length === 0
      ? []
      : [
          `| ${fault} | ${own.length} | ${own.filter(({ struck }) => struck).length} | ${count("before")} | ${count("after")} | ${count("gone")} | ${wrong} |`,
        ];
  });
  return [
    "| fault | runs | in time | state before | state after | guest gone | wrong |",
    "|---|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
};

const bench = Effect.gen(function* () {
  if (!(Number.isSafeInteger(runs) && runs > 0 && Number.isSafeInteger(seed) && seed > 0)) {
    yield* say("faults: --runs and --seed are whole numbers from 1 on");
    process.exitCode = 2;
    return;
  }
  yield* say(`faults: ${runs} runs, seeds ${seed} to ${seed + runs - 1}`);
  const lab = yield* sharedLab("faults", say);
  const scenarios = Array.from({ length: runs }, (_, i) => Faults.scenarioOf(seed + i));
  const outcomes: Array<Faults.Outcome> = [];
  const told = (outcome: Faults.Outcome) => {
    const { op, fault, step, delayMs, struck, status, guest, wrong } = outcome;
    outcomes.push(outcome);
    return say(
      `${outcomes.length}: seed ${outcome.seed}: ${op}, ${fault} at step ${step} + ${delayMs} ms${struck ? "" : ", too late"}: status ${status}, guest as ${guest}${wrong.map((each) => `\n  WRONG: ${each}`).join("")}`,
    );
  };
  // What there is of a long run that an error ends counts.
  const summary = Effect.suspend(() =>
    Console.log(
      process.argv.includes("--json")
        ? JSON.stringify({ seed, outcomes }, null, 2)
        : tally(outcomes),
    ),
  );
  yield* Faults.runAll(lab, scenarios, told).pipe(Effect.ensuring(summary));
  if (outcomes.some(({ wrong }) => wrong.length > 0)) process.exitCode = 1;
});

// Ctrl-C ends it as an error does.
NodeRuntime.runMain(Effect.scoped(bench));
