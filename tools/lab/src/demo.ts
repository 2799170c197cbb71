/**
 * `npm run demo -- --host lab [--json] [--svg FILE]`: the demonstration on a real Xen, in a lab of its own, or in the one that
 * VIRTFLEX_LAB names.
 */
import { existsSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { NodeRuntime } from "@effect/platform-node";
import { Effect } from "effect";
import { exitStatus, InvalidOption } from "./LabError.ts";
import { demonstrate } from "./whole/Demo.ts";
import { makeView, textOf } from "./whole/DemoText.ts";
import { sharedLab } from "./whole/SharedLab.ts";
import { timelineSvg } from "./whole/Timeline.ts";

const view = makeView(process.stderr);

const statusOf: Partial<Record<string, number>> = exitStatus;

const report = (line: string) => Effect.sync(() => view.say(line));

interface Options {
  readonly json: boolean;
  readonly svg: string | undefined;
}

const demonstration = ({ json, svg }: Options) =>
  Effect.gen(function* () {
    const document = yield* demonstrate(yield* sharedLab("demo", report), view);
    process.stdout.write(`${json ? JSON.stringify(document, null, 2) : textOf(document)}\n`);
    if (svg !== undefined) writeFileSync(svg, timelineSvg(document));
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

const optionsOf = (argv: ReadonlyArray<string>): Options => {
  const { json, svg } = parseArgs({
    args: [...argv],
    options: { json: { type: "boolean", default: false }, svg: { type: "string" } },
  }).values;
  if (svg !== undefined && !existsSync(dirname(svg))) {
    throw new Error(`--svg: there is no folder ${dirname(svg)}`);
  }
  return { json, svg };
};

try {
  NodeRuntime.runMain(demonstration(optionsOf(process.argv.slice(2))));
} catch (error) {
  const { code, message } = new InvalidOption({
    option: "demo",
    message: (error as Error).message,
  });
  process.stderr.write(`demo: ${code}: ${message}\n`);
  process.exitCode = exitStatus.InvalidOption;
}
