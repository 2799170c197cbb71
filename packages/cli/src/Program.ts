/**
 * Runs the command and ends the process with its documented code.
 *
 * @since 0.1.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime";
import * as NodeServices from "@effect/platform-node/NodeServices";
import { Cause, Effect, Exit, Layer, Logger } from "effect";
import { Command } from "effect/cli";
import { createRequire } from "node:module";
import { virtflex } from "./Cli.ts";
import { exitCode, exitCodeOf } from "./ExitCode.ts";
import { presenterLayer, report } from "./Report.ts";

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };

/** 128 + SIGINT, as shells have it. */
const interrupted = 130;

/** A command may have set the code itself, as `run` does for its program. */
const codeOf = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return Number(process.exitCode ?? exitCode.done);
  return Cause.hasInterruptsOnly(exit.cause)
    ? Number(process.exitCode ?? interrupted)
    : exitCodeOf(Cause.squash(exit.cause));
};

// What becomes of a terminal, or of who reads what is said, must not end a change half-way.
process.stderr.on("error", () => undefined);
process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"));

NodeRuntime.runMain(
  Command.run(virtflex, { version }).pipe(
    Effect.tapCause(report),
    Effect.provide(
      Layer.mergeAll(NodeServices.layer, presenterLayer, Layer.succeed(Logger.LogToStderr, true)),
    ),
  ),
  {
    disableErrorReporting: true,
    teardown: (exit, onExit) => {
      onExit(codeOf(exit));
    },
  },
);
