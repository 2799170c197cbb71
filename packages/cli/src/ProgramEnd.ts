/**
 * How a program ended, in words and as a shell's exit status.
 */
import type { ProgramExit } from "@virtflex/omp-runtime-shim";
import { constants } from "node:os";

export const endText = (exit: ProgramExit): string =>
  exit._tag === "exited" ? `ended with status ${exit.code}` : `was ended by ${exit.signal}`;

/** Shells say 128 + the signal's number. */
export const statusOf = (exit: ProgramExit): number =>
  exit._tag === "exited" ? exit.code : 128 + constants.signals[exit.signal];
