/** `lab meter`: see docs/numa-meter.md. */
import { writeFileSync } from "node:fs";
import { Console, Effect, Option } from "effect";
import { Argument, Command, Flag } from "effect/cli";
import * as Lab from "../Lab.ts";
import { choose } from "./Choice.ts";
import { ask } from "./Meter.ts";
import { modelledNs } from "./ModelledTime.ts";
import { accesses, svg, terminal } from "./Picture.ts";
import { socketOf } from "./Plugin.ts";
import { misses, remoteShare } from "./Reading.ts";

const title = "Cache misses by node of the CPU and node of the memory";

/** `lab meter read|reset|on|off|choose`, for a lab that `up --meter` started. @since 0.1.0 */
export const meterCommand = Command.make(
  "meter",
  {
    name: Flag.String("name").pipe(Flag.withDescription("Which lab"), Flag.withDefault("default")),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Counts, modelled time and remote share for machines, on stdout"),
      Flag.withDefault(false),
    ),
    svg: Flag.Path("svg").pipe(
      Flag.withDescription("Write the picture to this file as well"),
      Flag.optional,
    ),
    domain: Flag.String("domain").pipe(
      Flag.withDescription("Which guest to choose"),
      Flag.withDefault(Lab.defaultGuest),
    ),
    action: Argument.Literals("action", ["read", "reset", "on", "off", "choose"]).pipe(
      Argument.withDescription(
        "read: what was counted since the last reset; reset: count from zero; on, off: go on counting, or not; choose: count this guest, where the meter has guest=chosen",
      ),
    ),
  },
  ({ name, json, svg: file, domain, action }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const lab = yield* Lab.attach(name);
        const { status } = lab;
        const socket = socketOf(status.state);
        if (action === "choose") {
          yield* choose(socket, yield* lab.guest(domain));
        }
        const reading = yield* ask(socket, action === "choose" ? "read" : action);
        const matrix = misses(reading);
        const modelled = modelledNs(reading, status.shape.distances);
        if (Option.isSome(file)) writeFileSync(file.value, svg(title, matrix));
        if (json) {
          return yield* Console.log(
            JSON.stringify({
              ...reading,
              misses: matrix,
              remoteShare: remoteShare(matrix),
              modelledNs: modelled,
            }),
          );
        }
        yield* Console.log(terminal(title, matrix));
        yield* Console.log(accesses(reading));
        yield* Console.log(`modelled time: ${(modelled / 1e6).toFixed(1)} ms`);
        yield* Console.log(
          `counting is ${reading.on ? "on" : "off"}, 1 line in ${String(reading.sample)}`,
        );
      }),
    ),
).pipe(Command.withDescription("Memory accesses by node, in a lab that up --meter started"));
