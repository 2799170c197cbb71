/**
 * `npm run test:lab [-- JEST-ARGUMENT ...]`: boots a lab, runs every `*.lab.test.ts` on it, stops it.
 *
 * A guest that does not boot is started again, then a boot that fails is tried once more; both are said and counted. With VIRTFLEX_LAB set, the lab of that name is used as it is, and stays.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { NodeRuntime } from "@effect/platform-node";
import { Effect } from "effect";
import * as Lab from "./Lab.ts";
import type { LabError } from "./LabError.ts";
import * as Shape from "./Shape.ts";
import { labVariable } from "./Testing.ts";

const say = (line: string) => Effect.sync(() => console.log(`lab: ${line}`));

const root = join(import.meta.dirname, "..", "..", "..");

/** Runs the tests; their exit status. */
const test = (name: string) =>
  Effect.callback<number>((resume) => {
    const child = spawn(
      process.execPath,
      [
        ...["--disable-warning=ExperimentalWarning", "--experimental-vm-modules"],
        join(root, "node_modules", "jest", "bin", "jest.js"),
        ...["--config", join(import.meta.dirname, "..", "jest.lab.config.mjs")],
        ...process.argv.slice(2),
      ],
      { stdio: "inherit", cwd: root, env: { ...process.env, [labVariable]: name } },
    );
    child.on("exit", (code) => resume(Effect.succeed(code ?? 1)));
    return Effect.sync(() => child.kill("SIGTERM"));
  });

const boot = (name: string) =>
  Effect.gen(function* () {
    const lab = yield* Lab.up({
      name,
      shape: yield* Shape.make({}),
      flavour: { xen: "release" },
      accelerator: "auto",
      report: say,
    });
    return yield* Lab.startGuest(lab, say);
  });

const program = Effect.gen(function* () {
  const shared = process.env[labVariable];
  if (shared !== undefined) return yield* test(shared);
  const name = `test-${String(process.pid)}`;
  let retries = 0;
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const guestRetries = yield* boot(name).pipe(
        Effect.tapErrorTag("BootFailed", (error) => {
          retries += 1;
          return say(`boot failed, retried: ${error.message}`);
        }),
        Effect.retry({ times: 1, while: (error: LabError) => error._tag === "BootFailed" }),
      );
      yield* say(`boot retries: ${String(retries)}, guest retries: ${String(guestRetries)}`);
      return yield* test(name);
    }),
  );
});

program.pipe(
  Effect.matchEffect({
    onSuccess: (status) => Effect.sync(() => (process.exitCode = status)),
    onFailure: (error) =>
      Effect.sync(() => {
        console.log(`lab: ${error.message}`);
        process.exitCode = 1;
      }),
  }),
  NodeRuntime.runMain,
);
