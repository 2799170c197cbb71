/**
 * How the command ends, for scripts.
 *
 * @since 0.1.0
 */
import { PlanRefused } from "@virtflex/topo-model";
import { ChangeFailed } from "@virtflex/pipeline";
import { CliError } from "effect/cli";
import { UsageError } from "./UsageError.ts";

/** The documented exit codes. @since 0.1.0 */
export const exitCode = {
  done: 0,
  failed: 1,
  /** The command line, or a file that it names, makes no sense. */
  usage: 2,
  /** The planner has no plan for it. */
  refused: 3,
  /** It failed, and everything is as it was before. */
  rolledBack: 4,
} as const;

export const exitCodeOf = (error: unknown): number => {
  if (CliError.isCliError(error) || error instanceof UsageError) return exitCode.usage;
  if (error instanceof PlanRefused) return exitCode.refused;
  if (error instanceof ChangeFailed && error.rolledBack) return exitCode.rolledBack;
  return exitCode.failed;
};
