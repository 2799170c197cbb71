/**
 * Asking the meter: a line to the plugin's socket, a reading back.
 *
 * @since 0.1.0
 */
import { createConnection } from "node:net";
import { Effect, Schema } from "effect";
import { MeterUnavailable } from "../LabError.ts";
import { Reading } from "./Reading.ts";

/** What the plugin can be told. @since 0.1.0 */
export type MeterCommand = "read" | "reset" | "on" | "off";

/** More than 64 vCPUs of 8 nodes can say. */
const answerLimit = 1 << 20;

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Reading));

const exchange = (socket: string, command: MeterCommand) =>
  Effect.callback<string, MeterUnavailable>((resume) => {
    let answer = "";
    const connection = createConnection(socket).setEncoding("utf8");
    const fail = (message: string) => {
      connection.destroy();
      resume(new MeterUnavailable({ socket, message: `The meter of this lab: ${message}` }));
    };
    connection
      .on("connect", () => connection.write(`${command}\n`))
      .on("error", ({ message }) => fail(message))
      .on("end", () => fail("it hung up before it had answered"))
      .on("data", (chunk: string) => {
        answer += chunk;
        if (answer.length > answerLimit) fail("its answer has no end");
        else if (answer.includes("\n")) {
          connection.destroy();
          resume(Effect.succeed(answer));
        }
      });
    return Effect.sync(() => connection.destroy());
  });

/**
 * Carries a command out and answers what was counted since the last reset.
 *
 * @since 0.1.0
 */
export const ask = Effect.fn("Meter.ask")(function* (socket: string, command: MeterCommand) {
  const unavailable = (message: string) => new MeterUnavailable({ socket, message });
  const answer = yield* exchange(socket, command).pipe(
    Effect.timeoutOrElse({
      duration: "10 seconds",
      orElse: () => unavailable("The meter of this lab did not answer within 10 seconds"),
    }),
  );
  return yield* decode(answer).pipe(
    Effect.mapError(({ message }) => unavailable(`The meter of this lab: ${message}`)),
  );
});
