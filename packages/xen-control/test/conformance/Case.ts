/**
 * The conformance suites as lists of cases: a test runner runs them here, and a
 * plain Node on a Xen host runs the same ones there.
 */
import type { Effect } from "effect";

/** One thing that every implementation must do; it fails, or throws an AssertionError, where one doesn't. */
export interface Case<R> {
  readonly what: string;
  readonly run: Effect.Effect<void, unknown, R>;
}
