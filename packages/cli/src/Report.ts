/**
 * Tells of a failure: on stderr for people, and with `--json` as the document
 * on stdout too.
 */
import { ChangeFailed, type StepError } from "@virtflex/pipeline";
import { PlanRefused } from "@virtflex/topo-model";
import { Cause, Console, Effect } from "effect";
import { CliError, CliOutput, TerminalCapabilities } from "effect/cli";
import { exitCode, exitCodeOf } from "./ExitCode.ts";
import { toJson } from "./Output.ts";
import { red } from "./Screen.ts";

const results: Record<number, string> = {
  [exitCode.failed]: "failed",
  [exitCode.usage]: "usage",
  [exitCode.refused]: "refused",
  [exitCode.rolledBack]: "rolled-back",
};

const brief = ({ code, message }: StepError) => ({ code, message });

const detailsOf = (error: unknown) => {
  if (error instanceof PlanRefused) return { field: error.field, shortages: error.shortages };
  if (!(error instanceof ChangeFailed)) return {};
  const { undone, left } = error.rollback;
  const leftBrief = left.map(({ index, error }) => ({ index, error: brief(error) }));
  return { step: error.index, rollback: { undone, left: leftBrief } };
};

/** What machines get of an error. */
export const errorDocument = (error: unknown) => {
  const { message, code } =
    error instanceof Error
      ? { code: "DEFECT", ...pickCode(error), message: error.message }
      : { code: "DEFECT", message: String(error) };
  return { result: results[exitCodeOf(error)], error: { code, message, ...detailsOf(error) } };
};

const pickCode = (error: Error): { readonly code?: string } =>
  "code" in error && typeof error.code === "string" ? { code: error.code } : {};

/** Options of our own stand before `--`; what follows is another program's. */
const wantsJson = () => {
  const end = process.argv.indexOf("--");
  return process.argv.slice(0, end === -1 ? undefined : end).includes("--json");
};

export const report = Effect.fnUntraced(function* (cause: Cause.Cause<unknown>) {
  if (Cause.hasInterruptsOnly(cause)) return;
  const error = Cause.squash(cause);
  // The presenter has told of these.
  if (!CliError.isCliError(error)) {
    const isTyped = Cause.hasFails(cause) && error instanceof Error;
    yield* Console.error(`${red("virtflex:")} ${isTyped ? error.message : Cause.pretty(cause)}`);
  }
  if (wantsJson()) yield* Console.log(toJson(errorDocument(error)));
});

/** Help that was asked for is data; help that comes with an error is not. */
export const presenterLayer = CliOutput.layerPresenter({
  present: Effect.fnUntraced(function* (event) {
    const { canColor } = yield* TerminalCapabilities.TerminalCapabilities;
    const formatter = CliOutput.defaultFormatter({ colors: canColor });
    switch (event._tag) {
      case "Help":
        return yield* Console.log(formatter.formatHelpDoc(event.helpDoc));
      case "Version":
        return yield* Console.log(formatter.formatVersion(event.name, event.version));
      case "InvalidInvocation":
        yield* Console.error(formatter.formatErrors(event.errors));
        return yield* Console.error(`Run ${event.commandPath.join(" ")} --help for what it takes.`);
    }
  }),
});
