/**
 * What can go wrong with a lab, each with a stable code.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";

/** A flag, a shape or a guest configuration that can't be. @since 0.1.0 */
export class InvalidOption extends Schema.TaggedError<InvalidOption>()("InvalidOption", {
  option: Schema.String,
  message: Schema.String,
}) {
  readonly code = "LAB_INVALID_OPTION";
}

/** The machine lacks something that the lab is built or run with. @since 0.1.0 */
export class MissingTool extends Schema.TaggedError<MissingTool>()("MissingTool", {
  message: Schema.String,
}) {
  readonly code = "LAB_TOOL_MISSING";
}

/** A stage of the build failed; `log` holds all of its output, `tail` the end. @since 0.1.0 */
export class StageFailed extends Schema.TaggedError<StageFailed>()("StageFailed", {
  stage: Schema.String,
  log: Schema.String,
  tail: Schema.String,
  message: Schema.String,
}) {
  readonly code = "LAB_STAGE_FAILED";
}

/** The host or a guest did not come up; `tail` is the end of its console. @since 0.1.0 */
export class BootFailed extends Schema.TaggedError<BootFailed>()("BootFailed", {
  what: Schema.String,
  log: Schema.String,
  tail: Schema.String,
  message: Schema.String,
}) {
  readonly code = "LAB_BOOT_FAILED";
}

/** There is no lab of this name, or no such guest in it. @since 0.1.0 */
export class NotRunning extends Schema.TaggedError<NotRunning>()("NotRunning", {
  message: Schema.String,
}) {
  readonly code = "LAB_NOT_RUNNING";
}

/** A lab of this name is already up. @since 0.1.0 */
export class AlreadyRunning extends Schema.TaggedError<AlreadyRunning>()("AlreadyRunning", {
  message: Schema.String,
}) {
  readonly code = "LAB_ALREADY_RUNNING";
}

/** The machine that a command ran on, or the way to it, went away. @since 0.1.0 */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>()("ConnectionLost", {
  message: Schema.String,
}) {
  readonly code = "LAB_CONNECTION_LOST";
}

/** A command could not be started: no such program, or too many at a time. @since 0.1.0 */
export class NotStarted extends Schema.TaggedError<NotStarted>()("NotStarted", {
  errno: Schema.Number,
  message: Schema.String,
}) {
  readonly code = "LAB_COMMAND_NOT_STARTED";
}

/** A command took too long and was killed; what it had printed until then is here. @since 0.1.0 */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", {
  message: Schema.String,
  stdout: Schema.Uint8Array,
  stderr: Schema.Uint8Array,
}) {
  readonly code = "LAB_TIMED_OUT";
}

/** A command that had to succeed did not. @since 0.1.0 */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  command: Schema.String,
  status: Schema.Number,
  message: Schema.String,
}) {
  readonly code = "LAB_COMMAND_FAILED";
}

/** The lab has no meter, or it does not answer as one. @since 0.1.0 */
export class MeterUnavailable extends Schema.TaggedError<MeterUnavailable>()("MeterUnavailable", {
  socket: Schema.String,
  message: Schema.String,
}) {
  readonly code = "LAB_METER_UNAVAILABLE";
}

/** @since 0.1.0 */
export type LabError =
  | InvalidOption
  | MissingTool
  | StageFailed
  | BootFailed
  | NotRunning
  | AlreadyRunning
  | ConnectionLost
  | NotStarted
  | TimedOut
  | CommandFailed
  | MeterUnavailable;

/** The exit status of `lab` for each error: part of its interface. @since 0.1.0 */
export const exitStatus: { readonly [Tag in LabError["_tag"]]: number } = {
  InvalidOption: 2,
  MissingTool: 3,
  StageFailed: 4,
  BootFailed: 5,
  NotRunning: 6,
  MeterUnavailable: 6,
  AlreadyRunning: 7,
  CommandFailed: 8,
  NotStarted: 127,
  TimedOut: 124,
  ConnectionLost: 125,
};
