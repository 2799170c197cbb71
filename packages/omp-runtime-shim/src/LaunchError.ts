/**
 * Why a program can't be started under an adapting runtime.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";

/**
 * | reason | meaning |
 * |---|---|
 * | `not-found` | there is no such file, here or on `PATH` |
 * | `not-executable` | a directory, or a file that may not be executed |
 * | `script` | it begins with `#!`: the program is its interpreter |
 * | `not-elf` | neither a script nor an ELF file |
 * | `foreign` | for another machine than 64-bit x86 |
 * | `damaged` | an ELF file that can't be read |
 * | `privileged` | set-user-id or set-group-id: the loader ignores `LD_LIBRARY_PATH` for it |
 * | `static` | statically linked: its runtime, if it has one, is a part of it |
 * | `no-openmp` | it is linked with no OpenMP runtime |
 * | `tool-disabled` | it runs on LLVM's runtime, which adapts by a tool, and `OMP_TOOL` forbids tools |
 * | `unloadable` | its loader can't find one of its libraries |
 * | `shadowed` | its RPATH, or `LD_PRELOAD`, brings its own libgomp before the adapting one |
 * | `no-page` | the topology page is not there |
 * | `io` | the system refused |
 *
 * @since 0.1.0
 */
export const LaunchReason = Schema.Literals([
  "not-found",
  "not-executable",
  "script",
  "not-elf",
  "foreign",
  "damaged",
  "privileged",
  "static",
  "no-openmp",
  "tool-disabled",
  "unloadable",
  "shadowed",
  "no-page",
  "io",
]);
export type LaunchReason = typeof LaunchReason.Type;

/** @since 0.1.0 */
export class LaunchError extends Schema.TaggedError<LaunchError>()("LaunchError", {
  program: Schema.String,
  reason: LaunchReason,
  detail: Schema.String,
}) {
  /** A stable code for machines, such as `LAUNCH_NO_OPENMP`. */
  get code(): string {
    return `LAUNCH_${this.reason.replaceAll("-", "_").toUpperCase()}`;
  }
  override get message(): string {
    return `Can't run ${this.program}: ${this.detail}`;
  }
}

/** There is no adapting runtime, and none could be built. @since 0.1.0 */
export class RuntimeMissing extends Schema.TaggedError<RuntimeMissing>()("RuntimeMissing", {
  runtime: Schema.String,
  detail: Schema.String,
  remedy: Schema.String,
}) {
  readonly code = "RUNTIME_MISSING";
  override get message(): string {
    return `There is no adapting ${this.runtime}: ${this.detail}. Build it: ${this.remedy}`;
  }
}
