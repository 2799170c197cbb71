/** The conformance suites as tests of this process. */
import { test } from "@jest/globals";
import { Effect, type Layer } from "effect";
import type { Case } from "./conformance/Case.ts";

/** One test a case, each with a layer of its own. */
export const conforms = <R>(
  name: string,
  layer: Layer.Layer<R, unknown>,
  cases: ReadonlyArray<Case<R>>,
): void => {
  test.each(cases.map(({ what, run }) => [what, run] as const))(`${name}: %s`, async (_, run) => {
    await Effect.runPromise(Effect.provide(run, layer));
  });
};
