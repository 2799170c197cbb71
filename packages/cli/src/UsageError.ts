/**
 * A command line, or a file that it names, that makes no sense.
 */
import { Schema } from "effect";

export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  code: Schema.Literals(["BAD_VALUE", "BAD_FILE", "NO_SUCH_DOMAIN", "AMBIGUOUS_DOMAIN"]),
  /** The flag, argument or file. */
  what: Schema.String,
  detail: Schema.String,
}) {
  override get message(): string {
    return `${this.what}: ${this.detail}`;
  }
}
