/**
 * `virtflex doctor`: looks at each tier, and says how to mend what is wrong.
 */
import { recover } from "@virtflex/pipeline";
import { Console, Effect, Schema } from "effect";
import { Command, Flag } from "effect/cli";
import { chooseHost, controlLayerOf } from "../Connect.ts";
import { fail, type Finding, warn } from "../doctor/Check.ts";
import { checkHost } from "../doctor/HostState.ts";
import { checkTools } from "../doctor/Tools.ts";
import { exitCode } from "../ExitCode.ts";
import { print, table } from "../Output.ts";
import { progressView } from "../ProgressView.ts";
import { errorDocument } from "../Report.ts";
import { red } from "../Screen.ts";

/** Something is broken. It is told of here, and not raised: with `--json` the findings and it are one document. */
class Unwell extends Schema.TaggedError<Unwell>()("Unwell", {
  failures: Schema.Int,
}) {
  readonly code = "DOCTOR_FOUND_FAILURES";
  override get message(): string {
    return `${this.failures} of the checks failed`;
  }
}

const limits = { deadlineMs: 60_000, graceMs: 5000 };

/** What could not be undone. A journal that can't be read is told of where the journals are checked. */
const repairHost = recover({ limits, onProgress: progressView() }).pipe(
  Effect.map((changes) =>
    changes.flatMap(({ domains, rollback: { left } }) =>
      left.map(({ error }) =>
        fail(
          "repair",
          `domain ${domains.join(", ")}: ${error.message}`,
          domains.map((domain) => `virtflex status ${domain}`).join("; "),
        ),
      ),
    ),
  ),
);

const checkChosenHost = Effect.fnUntraced(function* (repair: boolean) {
  const choice = yield* chooseHost;
  return yield* Effect.gen(function* () {
    const left = repair ? yield* repairHost : [];
    return [...left, ...(yield* checkHost(choice))];
  }).pipe(Effect.provide(controlLayerOf(choice)));
});

const text = (findings: ReadonlyArray<Finding>): string =>
  table(
    ["CHECK", "STATUS", "DETAIL"],
    findings.flatMap(({ check, status, detail, mend }) => [
      [check, status, detail],
      ...(mend === undefined ? [] : [["", "", `→ ${mend}`]]),
    ]),
  );

export const doctor = Command.make(
  "doctor",
  {
    repair: Flag.Boolean("repair").pipe(
      Flag.withDescription("First undo changes whose controller is gone"),
      Flag.withDefault(false),
      Flag.withoutNegation,
    ),
  },
  Effect.fnUntraced(function* ({ repair }) {
    const tools = yield* checkTools;
    const host = yield* checkChosenHost(repair).pipe(
      Effect.catchTag("XenUnavailable", ({ missing, hint }) =>
        Effect.succeed([repair ? fail("repair", missing, hint) : warn("host", missing, hint)]),
      ),
    );
    const findings = [...tools, ...host];
    const failures = findings.filter(({ status }) => status === "fail").length;
    const unwell = failures === 0 ? undefined : new Unwell({ failures });
    yield* print({ ...(unwell && errorDocument(unwell)), findings }, () => text(findings));
    if (unwell === undefined) return;
    yield* Console.error(`${red("virtflex:")} ${unwell.message}`);
    process.exitCode = exitCode.failed;
  }),
).pipe(
  Command.withDescription("Check every tier: tools, libgomp, Xen, the store, guests, their pages"),
);
