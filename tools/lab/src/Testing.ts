/**
 * For the tests of any package that need a real Xen host: files named `*.lab.test.ts`, run by `npm run test:lab` on one lab that
 * all of them share.
 *
 * @since 0.1.0
 */
import { Effect, type Scope } from "effect";
import * as Lab from "./Lab.ts";

/** Names the lab that the tests run on. @since 0.1.0 */
export const labVariable = "VIRTFLEX_LAB";

/**
 * A test's body, run on the shared lab; its scope ends with the test.
 *
 * @since 0.1.0
 * @example
 * ```ts
 * it("counts nodes", onLab(function* (lab) {
 *   expect(yield* lab.dom0.check("xl info -n")).toContain("nr_nodes               : 4");
 * }));
 * ```
 */
export const onLab =
  <Step extends Effect.Effect<unknown, unknown, Scope.Scope>>(
    body: (lab: Lab.Lab) => Generator<Step, void, never>,
  ) =>
  (): Promise<void> =>
    Effect.runPromise(
      Effect.scoped(
        Effect.flatMap(Lab.attach(process.env[labVariable] ?? "default"), (lab) =>
          Effect.gen(
            () => body(lab) as Generator<Effect.Effect<unknown, unknown, Scope.Scope>, void, never>,
          ),
        ),
      ),
    );
