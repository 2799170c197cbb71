/** The `lab` command: see docs/lab.md. */
import { createReadStream, existsSync, statSync, watchFile, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { basename, join } from "node:path";
import { NodeRuntime, NodeServices } from "@effect/platform-node";
import { Console, Duration, Effect, Option } from "effect";
import { Argument, CliError, Command, Flag } from "effect/cli";
import type { RunOptions } from "./Command.ts";
import * as GuestConfig from "./GuestConfig.ts";
import * as Lab from "./Lab.ts";
import { exitStatus, InvalidOption, type LabError, NotRunning } from "./LabError.ts";
import { meterCommand } from "./meter/command.ts";
import { parseOptions } from "./meter/Plugin.ts";
import * as Shape from "./Shape.ts";

const name = Flag.String("name").pipe(
  Flag.withDescription("Which lab; labs of different names don't disturb each other"),
  Flag.withDefault("default"),
);

const timeout = Flag.Int("timeout").pipe(
  Flag.withDescription("Kill the command after this many seconds (status 124)"),
  Flag.withDefault(120),
);

const domain = Flag.String("domain").pipe(
  Flag.withDescription("Which guest"),
  Flag.withDefault(Lab.defaultGuest),
);

const command = Argument.String("command").pipe(
  Argument.withDescription("A shell command line"),
  Argument.variadic({ min: 1 }),
);

const say = (line: string) => Effect.sync(() => void process.stderr.write(`lab: ${line}\n`));

const json = Flag.Boolean("json").pipe(
  Flag.withDescription("The same for machines, on stdout"),
  Flag.withDefault(false),
);

const xen = Flag.Literals("xen", ["release", "debug", "stock"]).pipe(
  Flag.withDescription("The hypervisor's build: stock is without our patches"),
  Flag.withDefault("release"),
);

const kernel = Flag.Literals("kernel", ["stock", "patched", "debug"]).pipe(
  Flag.withDescription("The guests' kernel: Debian's, or built with our patches"),
  Flag.withDefault("stock"),
);

const accelerator = Flag.Literals("accelerator", ["auto", "kvm", "tcg"]).pipe(
  Flag.withDescription("auto: kvm where it can nest, else emulation"),
  Flag.withDefault("auto"),
);

const meter = Flag.Boolean("meter").pipe(
  Flag.withDescription("Load the NUMA meter (docs/numa-meter.md)"),
  Flag.withDefault(false),
);

const build = Command.make("build", { xen, kernel, accelerator, meter }, (flags) =>
  Lab.build({
    flavour: { xen: flags.xen, kernel: flags.kernel },
    accelerator: flags.accelerator,
    meter: flags.meter ? [] : undefined,
    report: say,
  }),
).pipe(Command.withDescription("Build what is missing, and boot nothing"));

const up = Command.make(
  "up",
  {
    name,
    json,
    nodes: Flag.Int("nodes").pipe(
      Flag.withDescription("pnodes: 1, 2, 4 (default) or 8"),
      Flag.optional,
    ),
    cpus: Flag.Int("cpus").pipe(
      Flag.withDescription("pCPUs in all (default 2 a pnode)"),
      Flag.optional,
    ),
    memory: Flag.String("memory").pipe(
      Flag.withDescription("Memory in all, such as 8G (default)"),
      Flag.optional,
    ),
    distances: Flag.String("distances").pipe(
      Flag.withDescription(
        "NEAR,FAR of pnodes in pairs (default 16,32), or the SLIT: rows separated by /",
      ),
      Flag.optional,
    ),
    xen,
    kernel,
    xenArguments: Flag.String("xen-args").pipe(
      Flag.withDescription("More of Xen's command line"),
      Flag.optional,
    ),
    accelerator,
    meter,
    meterOptions: Flag.String("meter-options").pipe(
      Flag.withDescription("The same with options of it, such as cache=2M,sample=16,start=on"),
      Flag.optional,
    ),
  },
  Effect.fn(function* (flags) {
    const shape = yield* Shape.make({
      nodes: Option.getOrUndefined(flags.nodes),
      cpus: Option.getOrUndefined(flags.cpus),
      memory: Option.getOrUndefined(flags.memory),
      distances: Option.getOrUndefined(flags.distances),
    });
    const status = yield* Lab.upDetached({
      name: flags.name,
      shape,
      flavour: { xen: flags.xen, kernel: flags.kernel },
      accelerator: flags.accelerator,
      xenArguments: Option.toArray(flags.xenArguments),
      meter:
        flags.meter || Option.isSome(flags.meterOptions)
          ? yield* parseOptions(Option.getOrElse(flags.meterOptions, () => ""))
          : undefined,
      report: say,
    });
    if (flags.json) yield* Console.log(JSON.stringify(status));
    yield* say(
      `up: Xen with ${String(shape.nodes)} nodes, guest ${Lab.defaultGuest} (guest retries: ${String(status.guestRetries)}); logs below ${status.state}`,
    );
  }),
).pipe(Command.withDescription("Build what is missing, boot Xen and dom0, start a guest"));

const down = Command.make("down", { name }, ({ name }) => Lab.down(name)).pipe(
  Command.withDescription("Stop the lab: nothing of it stays"),
);

const status = Command.make("status", { name, json }, ({ name, json }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const lab = yield* Lab.attach(name);
      const { shape, state, accelerator, qemuPid } = lab.status;
      if (json) return yield* Console.log(JSON.stringify(lab.status));
      yield* Console.log(
        `lab "${name}": ${String(shape.nodes)} nodes, ${String(shape.cpus)} CPUs, ${String(shape.memoryMiB)} MiB, ` +
          `${accelerator}, QEMU is process ${String(qemuPid)}, logs below ${state}`,
      );
      yield* Console.log((yield* lab.dom0.check("xl list")).trimEnd());
    }),
  ),
).pipe(Command.withDescription("Say what is up; status 6 if nothing is"));

const checkTimeout = (seconds: number) =>
  seconds > 0
    ? Effect.void
    : new InvalidOption({
        option: "--timeout",
        message: `--timeout: ${String(seconds)} is not a number of seconds above 0`,
      });

const checkDomain = (option: string, domain: string) =>
  GuestConfig.isName(domain)
    ? Effect.void
    : new InvalidOption({ option, message: `${option}: "${domain}" is not a guest's name` });

/** What `exec` and `guest` have in common: streams as they come, the command's status as ours. */
const runOn = (host: Lab.Host, words: ReadonlyArray<string>, seconds: number) =>
  Effect.gen(function* () {
    const stdin: RunOptions["stdin"] = process.stdin.isTTY ? undefined : process.stdin;
    const { status } = yield* host.run(words.join(" "), {
      timeout: Duration.seconds(seconds),
      stdin,
      onStdout: (chunk) => void process.stdout.write(chunk),
      onStderr: (chunk) => void process.stderr.write(chunk),
    });
    process.stdin.destroy();
    process.exitCode = status;
  });

const exec = Command.make("exec", { name, timeout, command }, ({ name, timeout, command }) =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* checkTimeout(timeout);
      const { dom0 } = yield* Lab.attach(name);
      yield* runOn(dom0, command, timeout);
    }),
  ),
).pipe(Command.withDescription("Run a command in dom0"));

const guest = Command.make(
  "guest",
  { name, timeout, domain, command },
  ({ name, timeout, domain, command }) =>
    Effect.scoped(
      Effect.gen(function* () {
        yield* checkTimeout(timeout);
        yield* checkDomain("--domain", domain);
        const lab = yield* Lab.attach(name);
        yield* runOn(yield* lab.guest(domain, Duration.seconds(timeout)), command, timeout);
      }),
    ),
).pipe(Command.withDescription("Run a command in a guest"));

/** `dom0:PATH`, `guest:PATH` (the standard guest) or `DOMAIN:PATH`; the machine's own file has no colon. */
const parseRemote = Effect.fnUntraced(function* (option: string, text: string) {
  const match = /^([A-Za-z0-9][A-Za-z0-9_.-]*):(.*)$/.exec(text);
  if (match === null) {
    return yield* new InvalidOption({
      option,
      message: `${option}: "${text}" is none of dom0:PATH, guest:PATH, DOMAIN:PATH`,
    });
  }
  return { host: match[1] ?? "", path: match[2] ?? "" };
});

const hostNamed = (lab: Lab.Lab, host: string) =>
  host === "dom0" ? Effect.succeed(lab.dom0) : lab.guest(host === "guest" ? undefined : host);

const push = Command.make(
  "push",
  {
    name,
    file: Argument.File("file", { mustExist: true }).pipe(Argument.withDescription("A file here")),
    to: Argument.String("to").pipe(
      Argument.withDescription(
        "dom0:PATH, guest:PATH or DOMAIN:PATH; a PATH that ends with / keeps the file's name",
      ),
      Argument.withDefault("guest:/root/"),
    ),
  },
  ({ name, file, to }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { host, path } = yield* parseRemote("TO", to);
        const lab = yield* Lab.attach(name);
        const target =
          path === "" || path.endsWith("/") ? `${path || "/root/"}${basename(file)}` : path;
        const mode = (statSync(file).mode & 0o777).toString(8);
        yield* (yield* hostNamed(lab, host)).push(createReadStream(file), target, mode);
      }),
    ),
).pipe(Command.withDescription("Copy a file to dom0 or a guest"));

const pull = Command.make(
  "pull",
  {
    name,
    from: Argument.String("from").pipe(
      Argument.withDescription("dom0:PATH, guest:PATH or DOMAIN:PATH"),
    ),
    file: Argument.String("file").pipe(
      Argument.withDescription("Where to, here"),
      Argument.optional,
    ),
  },
  ({ name, from, file }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { host, path } = yield* parseRemote("FROM", from);
        if (path === "") {
          return yield* new InvalidOption({
            option: "FROM",
            message: `FROM: "${from}" has no PATH`,
          });
        }
        const lab = yield* Lab.attach(name);
        const content = yield* (yield* hostNamed(lab, host)).pull(path);
        const target = Option.getOrElse(file, () => basename(path));
        const isDirectory = existsSync(target) && statSync(target).isDirectory();
        yield* Effect.try({
          try: () => writeFileSync(isDirectory ? join(target, basename(path)) : target, content),
          catch: (error) =>
            new InvalidOption({ option: "FILE", message: `FILE: ${(error as Error).message}` }),
        });
      }),
    ),
).pipe(Command.withDescription("Copy a file from dom0 or a guest"));

const guestCreate = Command.make(
  "guest-create",
  {
    name,
    config: Argument.FileText("config").pipe(
      Argument.withDescription(
        "An xl.cfg(5); kernel, ramdisk, type and what the lab needs are added if it lacks them",
      ),
      Argument.optional,
    ),
  },
  ({ name, config }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const lab = yield* Lab.attach(name);
        yield* Console.log(yield* lab.createGuest(Option.getOrUndefined(config)));
      }),
    ),
).pipe(Command.withDescription("Start a guest and wait until it answers; prints its name"));

/** Prints a growing file for ever. */
const follow = (file: string) =>
  Effect.callback<never>(() => {
    let at = 0;
    let busy = false;
    const more = async () => {
      if (busy || !existsSync(file)) return;
      busy = true;
      const handle = await open(file);
      const { size } = await handle.stat();
      if (size < at) at = 0;
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - at), 0, size - at, at);
      at += bytesRead;
      process.stdout.write(buffer.subarray(0, bytesRead));
      await handle.close();
      busy = false;
    };
    watchFile(file, { interval: 200 }, () => void more());
    void more();
  });

const console_ = Command.make(
  "console",
  {
    name,
    which: Argument.String("which").pipe(
      Argument.withDescription("xen (Xen and dom0; default) or a guest's name"),
      Argument.withDefault("xen"),
    ),
  },
  ({ name, which }) =>
    Effect.scoped(
      Effect.gen(function* () {
        yield* checkDomain("WHICH", which);
        const { status } = yield* Lab.attach(name);
        const ofGuest = join(status.logs, "console", `guest-${which}.log`);
        if (which !== "xen" && !existsSync(ofGuest)) {
          return yield* new NotRunning({ message: `there was no guest "${which}"` });
        }
        yield* follow(which === "xen" ? status.serialLog : ofGuest);
      }),
    ),
).pipe(Command.withDescription("Follow a console until Ctrl-C"));

const lab = Command.make("lab").pipe(
  Command.withDescription("A real Xen host with NUMA nodes, and guests with vnodes, in QEMU"),
  Command.withSubcommands([
    build,
    up,
    status,
    exec,
    guest,
    push,
    pull,
    guestCreate,
    console_,
    meterCommand,
    down,
  ]),
);

const failed = (error: LabError) =>
  Effect.sync(() => {
    process.stderr.write(`lab: ${error.code}: ${error.message}\n`);
    process.exitCode = exitStatus[error._tag];
  });

lab.pipe(
  Command.run({ version: "0.1.0" }),
  Effect.catchIf(CliError.isCliError, (error) =>
    Effect.sync(() => {
      process.exitCode = error._tag === "ShowHelp" && error.errors.length === 0 ? 0 : 2;
    }),
  ),
  Effect.catch((error) => failed(error)),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain,
);
