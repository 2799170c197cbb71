/**
 * The `virtflex` command.
 *
 * @since 0.1.0
 */
import { Command } from "effect/cli";
import { adopt } from "./commands/adopt.ts";
import { agent } from "./commands/agent.ts";
import { changes } from "./commands/change.ts";
import { demo } from "./commands/demo.ts";
import { doctor } from "./commands/doctor.ts";
import { embedded } from "./commands/embedded.ts";
import { guests } from "./commands/guests.ts";
import { looks } from "./commands/look.ts";
import { plan } from "./commands/plan.ts";
import { run } from "./commands/run.ts";
import { settings } from "./Settings.ts";

/** @since 0.1.0 */
export const virtflex = Command.make("virtflex").pipe(
  Command.withDescription("Changes a running guest's NUMA topology; OpenMP programs follow"),
  Command.withSubcommands([
    ...looks,
    adopt,
    guests,
    plan,
    ...changes,
    run,
    demo,
    doctor,
    embedded,
    agent,
  ]),
  Command.withGlobalFlags(settings),
);
