/** What became of a case on a host: a line of JSON. */
import { Schema } from "effect";

export const Outcome = Schema.Struct({
  what: Schema.String,
  /** Why it failed; absent where it didn't. */
  why: Schema.optionalKey(Schema.String),
});
export type Outcome = typeof Outcome.Type;
