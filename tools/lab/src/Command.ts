/**
 * Commands as effects: run one, get its stdout, stderr and exit status.
 *
 * @since 0.1.0
 */
import { getSystemErrorMap } from "node:util";
import { Deferred, Duration, Effect } from "effect";
import { ExitKind } from "./Frame.ts";
import { CommandFailed, ConnectionLost, NotStarted, TimedOut } from "./LabError.ts";
import type { Mux } from "./Mux.ts";
import { Process } from "./Process.ts";

/** @since 0.1.0 */
export interface RunOptions {
  /** After this long the command is killed and `TimedOut` fails; 2 minutes unless said. */
  readonly timeout?: Duration.Input | undefined;
  readonly stdin?: Uint8Array | string | AsyncIterable<Uint8Array> | undefined;
  /** Called with output as it comes; it is then not collected. */
  readonly onStdout?: ((chunk: Buffer) => void) | undefined;
  readonly onStderr?: ((chunk: Buffer) => void) | undefined;
}

/** @since 0.1.0 */
export interface Output {
  /** The exit status; 128 + n for a command that signal n ended. */
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** @since 0.1.0 */
export type RunError = ConnectionLost | NotStarted | TimedOut;

const sigterm = 15;
const sigkill = 9;

/** How long a command has to go after SIGTERM, and its machine to say so after SIGKILL. */
const grace = Duration.seconds(3);

const describe = (argv: ReadonlyArray<string>) => {
  const text = argv[0] === "sh" && argv[1] === "-c" ? (argv[2] ?? "") : argv.join(" ");
  const line = text.split("\n", 1)[0] ?? "";
  return line.length > 80 || line.length < text.length ? `${line.slice(0, 80)}…` : line;
};

const errnoText = (errno: number): string =>
  getSystemErrorMap().get(-errno)?.[1] ?? `errno ${String(errno)}`;

/**
 * Runs a command and waits for its end; interrupted, it kills the command.
 *
 * @since 0.1.0
 */
export const run = Effect.fn("Command.run")(function* (
  mux: Mux,
  argv: ReadonlyArray<string>,
  options: RunOptions = {},
) {
  const stdout: Array<Buffer> = [];
  const stderr: Array<Buffer> = [];
  const result = yield* Deferred.make<number, ConnectionLost | NotStarted>();
  const settle = (exit: Effect.Effect<number, ConnectionLost | NotStarted>) => {
    Deferred.doneUnsafe(result, exit);
  };
  const process = new Process(mux, argv, {
    stdout: options.onStdout ?? ((chunk) => void stdout.push(chunk)),
    stderr: options.onStderr ?? ((chunk) => void stderr.push(chunk)),
    exit: (kind, value) => {
      settle(
        kind === ExitKind.NotRun
          ? Effect.fail(
              new NotStarted({ errno: value, message: `${describe(argv)}: ${errnoText(value)}` }),
            )
          : Effect.succeed(kind === ExitKind.Signaled ? 128 + value : value),
      );
    },
    lost: (reason) => settle(Effect.fail(new ConnectionLost({ message: reason }))),
  });
  feed(process, options.stdin);

  const ended = Deferred.await(result);
  const stop = Effect.suspend(() => {
    process.signal(sigterm);
    return ended.pipe(
      Effect.timeoutOrElse({
        duration: grace,
        orElse: () => {
          process.signal(sigkill);
          return ended.pipe(Effect.timeoutOption(grace));
        },
      }),
      Effect.ignore,
    );
  });
  const timeout = options.timeout ?? Duration.minutes(2);
  const status = yield* ended.pipe(
    Effect.onInterrupt(() => Effect.sync(() => process.signal(sigkill))),
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () =>
        Effect.flatMap(stop, () =>
          Effect.fail(
            new TimedOut({
              message: `${describe(argv)}: no end within ${Duration.format(Duration.fromInputUnsafe(timeout))}`,
              stdout: Buffer.concat(stdout),
              stderr: Buffer.concat(stderr),
            }),
          ),
        ),
    }),
  );
  return {
    status,
    stdout: Buffer.concat(stdout),
    stderr: Buffer.concat(stderr),
  } satisfies Output;
});

const feed = (process: Process, stdin: RunOptions["stdin"]): void => {
  if (stdin === undefined || typeof stdin === "string" || stdin instanceof Uint8Array) {
    process.write(
      typeof stdin === "string" ? Buffer.from(stdin) : (stdin ?? Buffer.alloc(0)),
      () => undefined,
    );
    process.endInput();
    return;
  }
  const pump = async () => {
    for await (const chunk of stdin) {
      await new Promise<void>((taken) => process.write(chunk, taken));
    }
  };
  void pump().finally(() => process.endInput());
};

/** Runs a command that has to succeed; what it printed on stdout. @since 0.1.0 */
export const check = Effect.fn("Command.check")(function* (
  mux: Mux,
  argv: ReadonlyArray<string>,
  options?: RunOptions,
) {
  const { status, stdout, stderr } = yield* run(mux, argv, options);
  if (status !== 0) {
    return yield* new CommandFailed({
      command: describe(argv),
      status,
      message: `${describe(argv)}: status ${String(status)}: ${stderr.toString().trim()}`,
    });
  }
  return stdout.toString();
});
