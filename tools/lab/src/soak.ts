/** `npm run lab:soak -- --boots N`: boots a lab from cold N times, to a guest that answers; a line a boot. No boot is tried again; guests that were are counted. */
import { NodeRuntime, NodeServices } from "@effect/platform-node";
import { Clock, Console, Effect } from "effect";
import { CliError, Command, Flag } from "effect/cli";
import * as Lab from "./Lab.ts";
import { exitStatus, InvalidOption, type LabError } from "./LabError.ts";
import * as Shape from "./Shape.ts";

const say = (line: string) => Console.error(`lab: ${line}`);

const boot = (name: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const shape = yield* Shape.make({});
      const lab = yield* Lab.up({ name, shape, flavour: { xen: "release" }, accelerator: "auto" });
      const retries = yield* Lab.startGuest(lab, say);
      const guest = yield* lab.guest();
      const nodes = yield* guest.check("cat /sys/devices/system/node/online");
      return { nodes: nodes.trim(), retries };
    }),
  );

const soak = Command.make(
  "lab:soak",
  {
    boots: Flag.Int("boots").pipe(
      Flag.withDescription("How many boots in a row (20)"),
      Flag.withDefault(20),
    ),
  },
  Effect.fnUntraced(function* ({ boots }) {
    if (boots < 1) {
      return yield* new InvalidOption({
        option: "--boots",
        message: `--boots: ${String(boots)} is less than one boot`,
      });
    }
    let failed = 0;
    let guestRetries = 0;
    for (let count = 1; count <= boots; count++) {
      const began = yield* Clock.currentTimeMillis;
      const line = yield* boot(`soak-${String(process.pid)}`).pipe(
        Effect.map(({ nodes, retries }) => {
          guestRetries += retries;
          return `a guest with nodes ${nodes}, guest retries: ${String(retries)}`;
        }),
        Effect.catch((error: LabError) => {
          failed += 1;
          return Effect.succeed(`FAILED: ${error.message}`);
        }),
      );
      const seconds = ((yield* Clock.currentTimeMillis) - began) / 1000;
      yield* Console.log(
        `boot ${String(count)} of ${String(boots)}: ${seconds.toFixed(0)} s, ${line}`,
      );
    }
    yield* Console.log(
      `${String(boots - failed)} passed, ${String(failed)} failed, guest retries: ${String(guestRetries)}`,
    );
    process.exitCode = failed === 0 ? 0 : 1;
  }),
).pipe(Command.withDescription("Boot the lab from cold, again and again"));

soak.pipe(
  Command.run({ version: "0.1.0" }),
  Effect.catchIf(CliError.isCliError, (error) =>
    Effect.sync(() => {
      process.exitCode = error._tag === "ShowHelp" && error.errors.length === 0 ? 0 : 2;
    }),
  ),
  Effect.catch((error: LabError) =>
    Effect.sync(() => {
      process.stderr.write(`lab: ${error.code}: ${error.message}\n`);
      process.exitCode = exitStatus[error._tag];
    }),
  ),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain,
);
