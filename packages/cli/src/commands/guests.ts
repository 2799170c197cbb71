/**
 * `virtflex guests create`: a guest whose topology can be changed from its first moment.
 */
import { createGuest, parseGuestConfig, printXlConfig } from "@virtflex/pipeline";
import { Hypervisor, XenUnavailable } from "@virtflex/xen-control";
import { Effect, FileSystem } from "effect";
import { Argument, Command } from "effect/cli";
import { chooseHost, hostLayerOf } from "../Connect.ts";
import { print } from "../Output.ts";
import { UsageError } from "../UsageError.ts";

/** A file that xl reads: the one that was given, or the translation of ours. */
const xlFile = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem;
  const bad = (error: { readonly message: string }) =>
    new UsageError({ code: "BAD_FILE", what: file, detail: error.message });
  const text = yield* Effect.mapError(fs.readFileString(file), bad);
  if (!file.endsWith(".json")) return file;
  const config = yield* Effect.mapError(Effect.fromResult(parseGuestConfig(text)), bad);
  const { host } = yield* Hypervisor;
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "virtflex-" });
  const translated = `${directory}/${config.name}.cfg`;
  yield* fs.writeFileString(translated, printXlConfig(config, yield* host));
  return translated;
});

const create = Command.make(
  "create",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription("A configuration of xl's (xl.cfg), or of ours: a name in .json"),
    ),
  },
  Effect.fnUntraced(function* ({ file }) {
    const choice = yield* chooseHost;
    if (choice.kind === "embedded") {
      return yield* new XenUnavailable({
        missing: "an embedded host has the guests that it was started with",
        hint: "Run this in dom0 of a Xen host, with --host live.",
      });
    }
    const { guest } = yield* Effect.gen(function* () {
      return yield* Effect.flatMap(xlFile(file), createGuest).pipe(
        Effect.catchTag(
          "BadGuestConfig",
          ({ detail }) => new UsageError({ code: "BAD_FILE", what: file, detail }),
        ),
      );
    }).pipe(Effect.scoped, Effect.provide(hostLayerOf(choice)));
    const { domain, name, vnodes } = guest;
    yield* print(
      { domain, name, vnodes },
      () => `${name} (domain ${domain}): ${vnodes.length} vnodes, pinned, adopted, running`,
    );
  }),
).pipe(
  Command.withDescription(
    "Build a guest, pin each vnode's vCPUs to its pnode, adopt it and let it run",
  ),
  Command.withExamples([
    { command: "virtflex guests create web.cfg", description: "Nothing is left where it fails" },
  ]),
);

export const guests = Command.make("guests").pipe(
  Command.withDescription("Make guests whose topology can be changed"),
  Command.withSubcommands([create]),
);
