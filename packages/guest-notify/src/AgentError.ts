/**
 * Why a guest agent ends.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";

/** The agent can't go on: its store or its page failed. A new one takes over. @since 0.1.0 */
export class AgentError extends Schema.TaggedError<AgentError>()("AgentError", {
  /** The code of what failed, such as `XENSTORE_EIO` or `PAGE_IO`. */
  reason: Schema.String,
  detail: Schema.String,
}) {
  readonly code = "AGENT_STOPPED";
  override get message(): string {
    return `The guest agent stopped: ${this.detail}`;
  }
}
