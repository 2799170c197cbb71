/**
 * A lab: a real Xen host in QEMU, with guests. `up` starts one for the life of a scope, `attach` finds one that is up.
 *
 * @since 0.1.0
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { Duration, Effect, Exit, type Scope } from "effect";
import * as Command from "./Command.ts";
import * as GuestConfig from "./GuestConfig.ts";
import {
  AlreadyRunning,
  BootFailed,
  CommandFailed,
  InvalidOption,
  MissingTool,
  NotRunning,
  type StageFailed,
} from "./LabError.ts";
import * as Plugin from "./meter/Plugin.ts";
import { Mux } from "./Mux.ts";
import * as Payload from "./Payload.ts";
import type { Accelerator, Machine } from "./Qemu.ts";
import type { Shape } from "./Shape.ts";
import * as Stage from "./Stage.ts";
import { checkFlavour, type Flavour, meterStage, qemuStage, stagesOf } from "./stages.ts";
import type { Plan } from "./Supervisor.ts";

/** @since 0.1.0 */
export interface Options {
  /** Labs of different names don't know of each other. */
  readonly name: string;
  readonly shape: Shape;
  readonly flavour: Flavour;
  readonly accelerator: Accelerator | "auto";
  readonly xenArguments?: ReadonlyArray<string> | undefined;
  /** Options of the NUMA meter (docs/numa-meter.md), which is loaded if they are given. */
  readonly meter?: ReadonlyArray<string> | undefined;
  readonly bootTimeout?: Duration.Input | undefined;
  readonly report?: ((line: string) => Effect.Effect<void>) | undefined;
}

/** @since 0.1.0 */
export interface Status {
  readonly name: string;
  readonly state: string;
  readonly supervisorPid: number;
  readonly qemuPid: number;
  readonly accelerator: Accelerator;
  readonly shape: Shape;
  readonly serialLog: string;
  /** dom0's `/var/log/xen`: `console/guest-NAME.log` is a guest's console. */
  readonly logs: string;
}

/** A machine that commands run on: dom0, or a guest. @since 0.1.0 */
export interface Host {
  /** Runs a shell command line; its status is the result, whatever it is. */
  readonly run: (
    command: string,
    options?: Command.RunOptions,
  ) => Effect.Effect<Command.Output, Command.RunError>;
  /** Runs a shell command line that has to succeed; gives its stdout. */
  readonly check: (
    command: string,
    options?: Command.RunOptions,
  ) => Effect.Effect<string, Command.RunError | CommandFailed>;
  /** Runs a program as it is, no shell between. */
  readonly exec: (
    argv: ReadonlyArray<string>,
    options?: Command.RunOptions,
  ) => Effect.Effect<Command.Output, Command.RunError>;
  /** Writes a file, whole or not at all; `mode` is octal text. */
  readonly push: (
    content: Uint8Array | AsyncIterable<Uint8Array>,
    path: string,
    mode?: string,
  ) => Effect.Effect<void, Command.RunError | CommandFailed>;
  readonly pull: (path: string) => Effect.Effect<Buffer, Command.RunError | CommandFailed>;
}

/** @since 0.1.0 */
export interface Lab {
  readonly status: Status;
  readonly dom0: Host;
  /** Connects to a guest's agent, waiting for it (5 minutes at most, or `timeout`) if the guest is still booting. */
  readonly guest: (
    name?: string,
    timeout?: Duration.Input,
  ) => Effect.Effect<Host, NotRunning, Scope.Scope>;
  /** Starts a guest and waits until its agent answers; without a text, the standard guest of the host's shape. */
  readonly createGuest: (
    text?: string,
    timeout?: Duration.Input,
  ) => Effect.Effect<string, InvalidOption | BootFailed | Command.RunError | CommandFailed>;
}

/** The guest that `up` starts. @since 0.1.0 */
export const defaultGuest = "guest1";

const stateOf = (name: string) =>
  join(
    process.env["XDG_RUNTIME_DIR"] ?? tmpdir(),
    `virtflex-lab-${String(userInfo().uid)}-${name}`,
  );

const checkName = Effect.fnUntraced(function* (name: string) {
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(name)) {
    return yield* new InvalidOption({
      option: "--name",
      message: `--name: "${name}" is not 1 to 32 letters, digits, _ or -`,
    });
  }
});

const tools = [
  "qemu-system-x86_64",
  "mmdebstrap",
  "quilt",
  "cpio",
  "depmod",
  "dpkg-source",
  "mkfs.ext4",
  "setpriv",
  "unshare",
];

/** Whether the programs that the lab calls are there; `MissingTool` names all that are not. */
const checkTools = Effect.gen(function* () {
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`.split(":");
  const missing = tools.filter((tool) => !path.some((folder) => existsSync(join(folder, tool))));
  if (missing.length > 0) {
    return yield* new MissingTool({
      message: `the lab needs ${missing.join(", ")}: npm run lab installs them on Debian 12 (tools/setup/packages.txt, group lab)`,
    });
  }
});

/** KVM serves only where it lets a guest of its own have guests. */
const nestedKvm = (): boolean => {
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
  } catch {
    return false;
  }
  return ["kvm_intel", "kvm_amd"].some((module) => {
    const file = `/sys/module/${module}/parameters/nested`;
    return existsSync(file) && /^[1Y]/.test(readFileSync(file, "utf8"));
  });
};

const tail = (file: string, lines = 60): string =>
  existsSync(file)
    ? readFileSync(file, "utf8").trimEnd().split("\n").slice(-lines).join("\n")
    : "(no log)";

/**
 * The ends of a guest's console, of what xl says became of it, and of Xen's log: a guest that crashed early has left no trace but in
 * the last two.
 */
const guestTail = (logs: ReadonlyArray<string>): string =>
  logs.map((log) => `the end of ${log}:\n${tail(log)}`).join("\n");

const say = ({ report }: Pick<Options, "report">, line: string) => report?.(line) ?? Effect.void;

/** Builds what the cache lacks of a lab. @since 0.1.0 */
export const build = Effect.fn("Lab.build")(function* (
  options: Pick<Options, "flavour" | "accelerator" | "meter" | "report">,
) {
  if (options.meter !== undefined && options.accelerator === "kvm") {
    return yield* new InvalidOption({
      option: "--meter",
      message: "--meter: it counts what QEMU emulates; it can't be had with --accelerator kvm",
    });
  }
  yield* checkFlavour(options.flavour);
  const best = nestedKvm() && options.meter === undefined ? "kvm" : "tcg";
  const accelerator = options.accelerator === "auto" ? best : options.accelerator;
  yield* checkTools;
  const report = ({ stage, event, seconds, usual }: Stage.Progress) => {
    switch (event) {
      case "building":
        return say(options, `${stage}: building (usually ${usual})`);
      case "built":
        return say(options, `${stage}: built in ${seconds.toFixed(0)} s`);
      case "cached":
        return Effect.void;
    }
  };
  const parts = yield* Stage.ensure(
    {
      ...stagesOf(options.flavour),
      qemu: accelerator === "tcg" ? qemuStage() : undefined,
      meter: options.meter && meterStage,
    },
    report,
  );
  const payload = yield* Payload.collect(parts.kernel);
  if (payload.missing.length > 0) {
    yield* say(options, `not built, so not in the guest: ${payload.missing.join(", ")}`);
  }
  const { payload: path } = yield* Stage.ensure({ payload: Payload.stageOf(payload) }, report);
  return { ...parts, payload: path, accelerator };
});

const machineOf = (
  options: Options,
  built: {
    readonly hypervisor: string;
    readonly dom0: string;
    readonly guest: string;
    readonly linux: string;
    readonly kernel: string;
    readonly payload: string;
    readonly qemu: string | undefined;
    readonly meter: string | undefined;
    readonly accelerator: Accelerator;
  },
): Machine => {
  const state = stateOf(options.name);
  return {
    shape: options.shape,
    accelerator: built.accelerator,
    qemu: join(built.qemu ?? "/usr/bin", "qemu-system-x86_64"),
    xen: join(built.hypervisor, "xen"),
    kernel: join(built.linux, "vmlinuz"),
    initramfs: join(built.dom0, "dom0.cpio"),
    disk: join(built.dom0, "dom0.img"),
    shares: [
      { tag: "kernel", path: built.kernel, writable: false },
      { tag: "guest", path: built.guest, writable: false },
      { tag: "payload", path: built.payload, writable: false },
      { tag: "logs", path: join(state, "logs"), writable: true },
      { tag: "repo", path: join(import.meta.dirname, "..", "..", ".."), writable: false },
    ],
    agentSocket: join(state, "agent.sock"),
    serialLog: join(state, "host.log"),
    xenArguments: options.xenArguments ?? [],
    extra:
      built.meter === undefined
        ? []
        : Plugin.qemuArguments(built.meter, options.shape, state, options.meter ?? []),
  };
};

interface Supervised {
  /** From here on the lab outlives this process. */
  readonly release: Effect.Effect<undefined>;
}

const lockHeld = 77;

/** Starts the supervisor and waits for dom0; the end of the scope ends it, unless it was released. */
const supervise = (
  plan: Plan,
): Effect.Effect<Supervised, BootFailed | AlreadyRunning, Scope.Scope> =>
  Effect.gen(function* () {
    const locks = join(Stage.cacheDirectory(), "locks");
    mkdirSync(locks, { recursive: true });
    const extension = import.meta.filename.endsWith(".ts") ? "ts" : "js";
    // A pipe of this process' would not end while the lab is up.
    const log = join(locks, `${basename(plan.state)}.log`);
    let released = false;
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const stderr = openSync(log, "a");
        const started = spawn(
          "flock",
          [
            ...["--nonblock", "--no-fork", "--conflict-exit-code", String(lockHeld)],
            ...[join(locks, basename(plan.state)), process.execPath],
            join(import.meta.dirname, `Supervisor.${extension}`),
          ],
          { stdio: ["pipe", "pipe", stderr], detached: true },
        );
        closeSync(stderr);
        return started as ChildProcessByStdio<Writable, Readable, null>;
      }),
      (child) =>
        Effect.callback<undefined>((resume) => {
          const over =
            child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
          // Killed, it could not clear up after itself.
          if (child.signalCode !== null) rmSync(plan.state, { recursive: true, force: true });
          if (released || over) {
            resume(Effect.undefined);
            return;
          }
          child.on("exit", () => resume(Effect.undefined));
          child.stdin.end();
        }),
    );
    const failed = (message: string) =>
      new BootFailed({
        what: "host",
        log: plan.machine.serialLog,
        tail: tail(plan.machine.serialLog),
        message: `the host did not boot: ${message}; the end of ${plan.machine.serialLog}:\n${tail(plan.machine.serialLog)}`,
      });
    yield* Effect.callback<undefined, BootFailed | AlreadyRunning>((resume) => {
      child.on("error", (error) => resume(Effect.fail(failed(error.message))));
      child.on("exit", (code) =>
        resume(
          Effect.fail(
            code === lockHeld
              ? new AlreadyRunning({ message: `a lab named "${plan.name}" is already up` })
              : failed(`its supervisor ended (${String(code)}; ${log})`),
          ),
        ),
      );
      createInterface({ input: child.stdout }).on("line", (line) =>
        resume(
          line === "ready" ? Effect.undefined : Effect.fail(failed(line.replace(/^failed /, ""))),
        ),
      );
      child.stdin.on("error", () => undefined);
      child.stdin.write(`${JSON.stringify(plan)}\n`);
    });
    return {
      release: Effect.callback<undefined>((resume) => {
        released = true;
        child.stdin.write("released\n", () => {
          child.removeAllListeners();
          child.stdin.destroy();
          child.stdout.destroy();
          child.unref();
          resume(Effect.undefined);
        });
      }),
    };
  });

const socketOf = (state: string) => join(state, "lab.sock");

/** A connection to dom0's agent or a guest's, through the supervisor. */
const join_ = (state: string, target: string) =>
  Effect.acquireRelease(
    Effect.callback<Mux, NotRunning>((resume) => {
      const socket = connect(socketOf(state));
      const mux = new Mux(socket);
      socket.on("connect", () => socket.write(`${target}\n`));
      mux.whenReady((lost) =>
        resume(
          lost === undefined ? Effect.succeed(mux) : Effect.fail(new NotRunning({ message: lost })),
        ),
      );
      return Effect.sync(() => mux.close("no longer wanted"));
    }),
    (mux) => Effect.sync(() => mux.close("no longer wanted")),
    // A guest that hangs never says hello: time-outs and Ctrl-C must reach the wait for it.
    { interruptible: true },
  );

const hostOf = (mux: Mux): Host => {
  const shell = (command: string) => ["sh", "-c", command];
  return {
    run: (command, options) => Command.run(mux, shell(command), options),
    check: (command, options) => Command.check(mux, shell(command), options),
    exec: (argv, options) => Command.run(mux, argv, options),
    push: (content, path, mode = "644") =>
      Effect.asVoid(
        Command.check(
          mux,
          [
            "sh",
            "-c",
            'set -e; t=$(mktemp "$1.XXXXXX"); trap \'rm -f "$t"\' EXIT; cat >"$t"; chmod "$2" "$t"; mv -f "$t" "$1"',
            "push",
            path,
            mode,
          ],
          { stdin: content, timeout: Duration.minutes(10) },
        ),
      ),
    pull: (path) =>
      Effect.flatMap(
        Command.run(mux, ["cat", "--", path], { timeout: Duration.minutes(10) }),
        ({ status, stdout, stderr }) =>
          status === 0
            ? Effect.succeed(stdout)
            : Effect.fail(
                new CommandFailed({
                  command: `cat ${path}`,
                  status,
                  message: stderr.toString().trim(),
                }),
              ),
      ),
  };
};

const labOf = (status: Status, dom0: Host): Lab => {
  const guest = (name = defaultGuest, timeout: Duration.Input = "5 minutes") =>
    join_(status.state, `guest ${name}`).pipe(
      Effect.map(hostOf),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () =>
          Effect.fail(new NotRunning({ message: `guest "${name}": its agent does not answer` })),
      }),
    );
  const consoleOf = (name: string) => join(status.logs, "console", `guest-${name}.log`);
  const logsOf = (name: string) => [
    consoleOf(name),
    join(status.logs, `xl-${name}.log`),
    status.serialLog,
  ];
  return {
    status,
    dom0,
    guest,
    createGuest: Effect.fn("Lab.createGuest")(function* (
      text?: string,
      timeout: Duration.Input = "5 minutes",
    ) {
      const config =
        text === undefined
          ? GuestConfig.standard(status.shape, defaultGuest)
          : yield* GuestConfig.complete(text);
      const { name } = config;
      const directory = GuestConfig.bootDirectory;
      yield* dom0.check(
        `set -e; mkdir -p ${directory}; cd ${directory}; exec 9>lock; flock 9
         [ -e vmlinux ] || { cp /lab/kernel/vmlinux .vmlinux && mv .vmlinux vmlinux; }
         [ -e initrd ] || { cat /lab/guest/initrd /lab/payload/payload >.initrd && mv .initrd initrd; }`,
      );
      const file = `${directory}/${name}.cfg`;
      yield* dom0.push(Buffer.from(config.text), file);
      yield* dom0.check(`xl create ${file}`, { timeout });
      yield* Effect.scoped(guest(name, timeout)).pipe(
        Effect.catchTag("NotRunning", ({ message }) =>
          Effect.fail(
            new BootFailed({
              what: name,
              log: consoleOf(name),
              tail: tail(consoleOf(name)),
              message: `guest "${name}" did not boot: ${message}; ${guestTail(logsOf(name))}`,
            }),
          ),
        ),
        Effect.onExit((exit) =>
          Exit.isFailure(exit) ? Effect.ignore(dom0.run(`xl destroy ${name}`)) : Effect.void,
        ),
      );
      return name;
    }),
  };
};

/** The lab of this name that is up. @since 0.1.0 */
export const attach = Effect.fn("Lab.attach")(function* (name: string) {
  yield* checkName(name);
  const state = stateOf(name);
  const file = join(state, "lab.json");
  if (!existsSync(file) || statSync(state).uid !== userInfo().uid) {
    return yield* new NotRunning({ message: `no lab named "${name}" is up` });
  }
  const mux = yield* Effect.mapError(
    join_(state, "dom0"),
    () => new NotRunning({ message: `no lab named "${name}" is up` }),
  );
  const plan = JSON.parse(readFileSync(file, "utf8")) as Plan & {
    readonly supervisorPid: number;
    readonly qemuPid: number;
  };
  const status: Status = {
    name,
    state,
    supervisorPid: plan.supervisorPid,
    qemuPid: plan.qemuPid,
    accelerator: plan.machine.accelerator,
    shape: plan.machine.shape,
    serialLog: plan.machine.serialLog,
    logs: join(state, "logs"),
  };
  return labOf(status, hostOf(mux));
});

const start = Effect.fn("Lab.start")(function* (options: Options) {
  yield* checkName(options.name);
  const built = yield* build(options);
  const plan: Plan = {
    name: options.name,
    state: stateOf(options.name),
    machine: machineOf(options, built),
    bootTimeoutMillis: Duration.toMillis(
      Duration.fromInputUnsafe(options.bootTimeout ?? Duration.minutes(5)),
    ),
  };
  yield* say(options, `booting Xen and dom0 (${built.accelerator})`);
  const supervised = yield* supervise(plan);
  const lab = yield* attach(options.name);
  return { lab, release: supervised.release };
});

/**
 * Builds what is missing, boots a host, gives it to the scope: its end stops QEMU.
 *
 * @since 0.1.0
 */
export const up = (
  options: Options,
): Effect.Effect<
  Lab,
  BootFailed | AlreadyRunning | NotRunning | InvalidOption | MissingTool | StageFailed,
  Scope.Scope
> => Effect.map(start(options), ({ lab }) => lab);

/** A guest under emulation is, rarely, lost before its kernel prints anything, or soon after (docs/lab.md): so often it is started again. */
const mostGuestRetries = 2;

/**
 * Starts a guest by `create`, and again if it does not boot; each such retry is reported. Gives their number.
 *
 * @since 0.1.0
 */
export const retryBoot = Effect.fn("Lab.retryBoot")(function* (
  create: ReturnType<Lab["createGuest"]>,
  report: (line: string) => Effect.Effect<void>,
) {
  let retries = 0;
  yield* create.pipe(
    Effect.tapErrorTag("BootFailed", (error) =>
      retries === mostGuestRetries
        ? Effect.void
        : report(`guest retry ${String(++retries)}: ${error.message}`),
    ),
    Effect.retry({ times: mostGuestRetries, while: ({ _tag }) => _tag === "BootFailed" }),
  );
  return retries;
});

/**
 * Starts the standard guest of a lab, as `retryBoot` does.
 *
 * @since 0.1.0
 */
export const startGuest = Effect.fn("Lab.startGuest")(function* (
  lab: Lab,
  report: (line: string) => Effect.Effect<void>,
) {
  yield* report(`booting guest ${defaultGuest}`);
  return yield* retryBoot(lab.createGuest(), report);
});

/** As `up`, with the standard guest; then leaves the lab running when this process ends. @since 0.1.0 */
export const upDetached = (options: Options) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { lab, release } = yield* start(options);
      const guestRetries = yield* startGuest(lab, (line) => say(options, line));
      yield* release;
      return { ...lab.status, guestRetries };
    }),
  );

/** Stops a lab, and waits until it is gone. @since 0.1.0 */
export const down = Effect.fn("Lab.down")(function* (name: string) {
  yield* checkName(name);
  const state = stateOf(name);
  yield* Effect.callback<undefined, NotRunning>((resume) => {
    const socket = connect(socketOf(state));
    socket.on("connect", () => socket.write("down\n"));
    socket.on("error", () =>
      resume(Effect.fail(new NotRunning({ message: `no lab named "${name}" is up` }))),
    );
    socket.on("close", () => resume(Effect.undefined));
    socket.resume();
  });
  yield* Effect.sync(() => existsSync(state)).pipe(
    Effect.repeat({ while: (there) => there }),
    Effect.timeoutOption("5 seconds"),
  );
});
