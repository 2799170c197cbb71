/**
 * `npm run demo -- --host lab [--json]`: the demonstration on a real Xen, in a lab of its own, or in the one that VIRTFLEX_LAB names.
 */
import { NodeRuntime } from "@effect/platform-node";
import { Effect } from "effect";
import { exitStatus } from "./LabError.ts";
import { demonstrate } from "./whole/Demo.ts";
import { makeView, textOf } from "./whole/DemoText.ts";
import { sharedLab } from "./whole/SharedLab.ts";

const view = makeView(process.stderr);

const statusOf: Partial<Record<string, number>> = exitStatus;

const report = (line: string) => Effect.sync(() => view.say(line));

const unknown = process.argv.slice(2).find((argument) => argument !== "--json");

const program = Effect.gen(function* () {
  const document = yield* demonstrate(yield* sharedLab("demo", report), view);
  const json = process.argv.includes("--json");
  process.stdout.write(`${json ? JSON.stringify(document, null, 2) : textOf(document)}\n`);
  process.exitCode = document.result === "done" ? 0 : 1;
}).pipe(
  Effect.scoped,
  Effect.catch((error) =>
    Effect.sync(() => {
      process.stderr.write(`demo: ${error.message}\n`);
      process.exitCode = statusOf[error._tag] ?? 1;
    }),
  ),
);

if (unknown === undefined) NodeRuntime.runMain(program);
else {
  process.stderr.write(`demo: "${unknown}" is no option of the lab's demonstration: --json is\n`);
  process.exitCode = 2;
}
