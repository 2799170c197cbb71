/**
 * `virtflex run -- PROGRAM ARGS`: an unmodified OpenMP program under the
 * adapting runtime.
 */
import { kernelPage } from "@virtflex/guest-notify";
import { OmpProgram } from "@virtflex/omp-runtime-shim";
import { survey } from "@virtflex/pipeline";
import { Effect, FileSystem, Option } from "effect";
import { Argument, Command, Flag } from "effect/cli";
import { controlLayerOf, embeddedSocket } from "../Connect.ts";
import { findGuest } from "../Domains.ts";
import { topologyPage } from "../Paths.ts";
import { statusOf } from "../ProgramEnd.ts";
import { UsageError } from "../UsageError.ts";

/** The page of a guest of the embedded host: the one that is named, or the only one. */
const embeddedPage = Effect.fnUntraced(function* (domain: Option.Option<string>) {
  const socket = yield* embeddedSocket;
  const { guests } = yield* survey.pipe(
    Effect.provide(controlLayerOf({ kind: "embedded", socket })),
  );
  const [only, another] = guests;
  if (Option.isNone(domain) && (only === undefined || another !== undefined)) {
    const detail = `the embedded host has ${guests.length} guests: say which`;
    return yield* new UsageError({ code: "BAD_VALUE", what: "--domain", detail });
  }
  const found = yield* findGuest(
    guests,
    Option.getOrElse(domain, () => String(only?.guest.domain)),
  );
  return topologyPage(socket, found.guest.domain);
});

/** In a guest with the module its page; else that of the embedded host's guest. */
const choosePage = Effect.fnUntraced(function* (
  page: Option.Option<string>,
  domain: Option.Option<string>,
) {
  const fs = yield* FileSystem.FileSystem;
  const given = Option.orElse(page, () => Option.fromNullishOr(process.env["VIRTFLEX_TOPOLOGY"]));
  if (Option.isSome(given)) return given.value;
  if (Option.isNone(domain) && (yield* fs.exists(kernelPage))) return undefined;
  return yield* embeddedPage(domain);
});

export const run = Command.make(
  "run",
  {
    page: Flag.String("page").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The topology page to follow; $VIRTFLEX_TOPOLOGY, else the kernel's"),
      Flag.optional,
    ),
    domain: Flag.String("domain").pipe(
      Flag.withMetavar("DOMAIN"),
      Flag.withDescription("Follow the page of this guest of the embedded host"),
      Flag.optional,
    ),
    runtime: Flag.Literals("runtime", ["libgomp", "libomp"]).pipe(
      Flag.withDescription(
        "The OpenMP runtime that the program loads by itself, as Python does; else the one it is linked with",
      ),
      Flag.optional,
    ),
    command: Argument.String("program").pipe(
      Argument.withDescription("The program and its arguments, after --"),
      Argument.atLeast(1),
    ),
  },
  Effect.fnUntraced(
    function* ({ page, domain, runtime, command: [program = "", ...args] }) {
      const path = yield* choosePage(page, domain);
      const { launch } = yield* OmpProgram;
      const running = yield* launch({
        program,
        args,
        stdio: "inherit",
        ...(path === undefined ? {} : { page: path }),
        ...(Option.isNone(runtime) ? {} : { runtime: runtime.value }),
      });
      const exit = yield* running.exit;
      process.exitCode = statusOf(exit);
    },
    Effect.scoped,
    Effect.provide(OmpProgram.layer),
  ),
).pipe(
  Command.withDescription("Run an OpenMP program, as it is, under the adapting runtime"),
  Command.withExamples([
    {
      command: "virtflex run -- ./cg --class A",
      description: "Its exit status is passed through; by a signal: 128 + its number",
    },
    {
      command: "virtflex run --runtime libgomp -- python3 fit.py",
      description: "An interpreter, whose modules bring the runtime",
    },
  ]),
);
