/**
 * The programs of `xen/tests`, for tests and figures.
 *
 * @since 0.1.0
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Effect } from "effect";
import type { Host } from "./Lab.ts";
import * as Stage from "./Stage.ts";
import { xenTestsStage } from "./stages.ts";

/**
 * Puts a program into dom0 or a guest; its path there. What isn't built yet is built.
 *
 * @since 0.1.0
 */
export const install = Effect.fn("XenTests.install")(function* (host: Host, name: string) {
  const { programs } = yield* Stage.ensure({ programs: xenTestsStage() }, () => Effect.void);
  const path = `/tmp/${name}`;
  yield* host.push(readFileSync(join(programs, name)), path, "755");
  return path;
});
