/** `npm run lab:soak -- --boots N`: boots a lab from cold N times, to a guest that answers; a line a boot, none is tried again. */
import { NodeRuntime, NodeServices } from "@effect/platform-node";
import { Clock, Console, Effect } from "effect";
import { CliError, Command, Flag } from "effect/cli";
import * as Lab from "./Lab.ts";
import { exitStatus, InvalidOption, type LabError } from "./LabError.ts";
import * as Shape from "./Shape.ts";

const boot = (name: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const shape = yield* Shape.make({});
      const lab = yield* Lab.up({ name, shape, flavour: { xen: "release" }, accelerator: "auto" });
      const guest = yield* lab.guest(yield* lab.createGuest());
      return yield* guest.check("cat /sys/devices/system/node/online");
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
    for (let count = 1; count <= boots; count++) {
      const began = yield* Clock.currentTimeMillis;
      const line = yield* boot(`soak-${String(process.pid)}`).pipe(
        Effect.map((nodes) => `a guest with nodes ${nodes.trim()}`),
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
    yield* Console.log(`${String(boots - failed)} passed, ${String(failed)} failed`);
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
      process.stderr.write(`lab: ${error.message}\n`);
      process.exitCode = exitStatus[error._tag];
    }),
  ),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain,
);
