/**
 * Which guest the meter counts, where it was loaded with `guest=chosen`.
 *
 * @since 0.1.0
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Effect } from "effect";
import type { Host } from "../Lab.ts";
import * as Stage from "../Stage.ts";
import { meterStage } from "../stages.ts";

/** Chooses a guest, on all of its vCPUs that are online; how many those are. @since 0.1.0 */
export const choose = Effect.fn("Choice.choose")(function* (guest: Host) {
  const { meter } = yield* Stage.ensure({ meter: meterStage }, () => Effect.void);
  const program = "/tmp/numa-meter-choose";
  yield* guest.push(readFileSync(join(meter, "choose")), program, "755");
  return Number(yield* guest.check(`${program}; s=$?; rm ${program}; exit $s`));
});
