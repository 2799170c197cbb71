/**
 * Which guest the meter counts, where it was loaded with `guest=chosen`.
 *
 * @since 0.1.0
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Effect } from "effect";
import type { Host } from "../Lab.ts";
import { InvalidOption, MeterUnavailable } from "../LabError.ts";
import * as Stage from "../Stage.ts";
import { meterStage } from "../stages.ts";
import { ask } from "./Meter.ts";

/** Chooses a guest of the lab whose meter is at `socket`, on all of its vCPUs that are online. @since 0.1.0 */
export const choose = Effect.fn("Choice.choose")(function* (socket: string, guest: Host) {
  if ((yield* ask(socket, "read")).chosen === null) {
    return yield* new InvalidOption({
      option: "choose",
      message: "choose: this lab's meter counts all guests: up --meter-options guest=chosen",
    });
  }
  const { meter } = yield* Stage.ensure({ meter: meterStage }, () => Effect.void);
  const program = "/tmp/numa-meter-choose";
  yield* guest.push(readFileSync(join(meter, "choose")), program, "755");
  const vcpus = Number(yield* guest.check(`${program}; s=$?; rm ${program}; exit $s`));
  const { chosen } = yield* ask(socket, "read");
  if ((chosen ?? 0) < vcpus) {
    return yield* new MeterUnavailable({
      socket,
      message: `choose: of ${String(vcpus)} vCPUs the meter knows ${String(chosen)}: it does not see this hypervisor enter its guests`,
    });
  }
});
