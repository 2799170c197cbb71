/**
 * Starts an unmodified OpenMP program under the adapting runtime.
 *
 * Limits: dynamically linked programs only; of a runtime that the program
 * loads later by itself (dlopen) it has to be told. If this process is killed, the
 * program is too, but not the processes that it may have started.
 *
 * @since 0.1.0
 */
import * as NodeStream from "@effect/platform-node/NodeStream";
import { Context, Deferred, Duration, Effect, FileSystem, Layer, type Scope, Stream } from "effect";
import { ChildProcessSpawner } from "effect/process";
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { locateLibgomp } from "./AdaptingLibgomp.ts";
import {
  checkLibraries,
  findProgram,
  loaderOf,
  type RuntimeKind,
  runtimeOf,
} from "./internal/Inspect.ts";
import { LaunchError, type RuntimeMissing } from "./LaunchError.ts";
import { locateOmptTool } from "./OmptTool.ts";

/** @since 0.1.0 */
export interface LaunchOptions {
  /** A path, or a name that is looked for on `PATH`. */
  readonly program: string;
  readonly args?: ReadonlyArray<string>;
  /**
   * The runtime that it loads by itself, as interpreters do (Python, R); scripts may be run
   * then, too. Unless it is said, the one that the program is linked with.
   */
  readonly runtime?: RuntimeKind;
  /** The topology page to follow; without it, the kernel module's. */
  readonly page?: string;
  /** Set over this process's environment; undefined takes away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /**
   * `inherit` passes this process's own stdin, stdout and stderr through, and the
   * program is a part of its job, as under a shell. `pipe` makes stdout and stderr
   * streams; stdin is empty.
   */
  readonly stdio: "inherit" | "pipe";
}

/** How a program ended. @since 0.1.0 */
export type ProgramExit =
  | { readonly _tag: "exited"; readonly code: number }
  | { readonly _tag: "signalled"; readonly signal: NodeJS.Signals };

/** @since 0.1.0 */
export interface RunningProgram {
  readonly pid: number;
  /** Directory of the libgomp that it runs on, or path of the OMPT tool that its libomp loads. */
  readonly runtime: string;
  readonly exit: Effect.Effect<ProgramExit>;
  /** Empty unless `stdio` is `pipe`. */
  readonly stdout: Stream.Stream<Uint8Array, LaunchError>;
  readonly stderr: Stream.Stream<Uint8Array, LaunchError>;
}

/** How long a program has to end after SIGTERM, until SIGKILL. */
const patience = Duration.seconds(2);

/** @since 0.1.0 */
export class OmpProgram extends Context.Service<
  OmpProgram,
  {
    /**
     * Starts it; when the scope ends, so does the program: SIGTERM, two seconds,
     * SIGKILL. With `pipe` its whole process group does.
     */
    readonly launch: (
      options: LaunchOptions,
    ) => Effect.Effect<RunningProgram, LaunchError | RuntimeMissing, Scope.Scope>;
  }
>()("@virtflex/omp-runtime-shim/OmpProgram") {
  static readonly layer = Layer.effect(
    OmpProgram,
    Effect.gen(function* () {
      const platform = yield* Effect.context<
        FileSystem.FileSystem | ChildProcessSpawner.ChildProcessSpawner
      >();
      return OmpProgram.of({
        launch: (options) => Effect.provideContext(launch(options), platform),
      });
    }),
  );
}

/** A list of paths with one before the others, of which there may be none. */
const before = (first: string, ...others: ReadonlyArray<string | undefined>) =>
  [first, ...others].filter((each) => each !== undefined && each !== "").join(":");

type Environment = Readonly<Record<string, string | undefined>>;

const onLibgomp = (directory: string, given: Environment) => ({
  LD_LIBRARY_PATH: before(directory, given["LD_LIBRARY_PATH"]),
});

/** A library that is loaded first serves those, too, that bring a copy of their own, as wheels do. */
const withLibgomp = (directory: string, given: Environment) => ({
  ...onLibgomp(directory, given),
  LD_PRELOAD: before(`${directory}/libgomp.so.1`, given["LD_PRELOAD"]),
});

/** Tools that were asked for already go on beside ours, which passes them every event. */
const withTool = (tool: string, given: Environment) => ({
  OMP_TOOL_LIBRARIES: tool,
  ...(given["OMP_TOOL_LIBRARIES"] === undefined
    ? {}
    : {
        VIRTFLEX_TOOL_LIBRARIES: before(
          given["OMP_TOOL_LIBRARIES"],
          given["VIRTFLEX_TOOL_LIBRARIES"],
        ),
      }),
});

const launch = Effect.fn("OmpProgram.launch")(function* (options: LaunchOptions) {
  const fs = yield* FileSystem.FileSystem;
  const { page, stdio } = options;
  const given = { ...process.env, ...options.env };
  const program = yield* findProgram(options.program, given);
  const refuse = (reason: LaunchError["reason"], detail: string) =>
    new LaunchError({ program, reason, detail });

  if (page !== undefined && !(yield* Effect.orElseSucceed(fs.exists(page), () => false))) {
    return yield* refuse("no-page", `the topology page ${page} is not there`);
  }
  const { kind, interpreter } =
    options.runtime === undefined
      ? yield* runtimeOf(program, given)
      : { kind: options.runtime, interpreter: yield* loaderOf(program) };
  if (kind === "libomp" && given["OMP_TOOL"] === "disabled") {
    return yield* refuse("tool-disabled", "OMP_TOOL=disabled keeps its libomp from adapting");
  }
  const runtime = yield* kind === "libgomp" ? locateLibgomp : locateOmptTool;
  const adapting =
    kind === "libomp" ? withTool : options.runtime === undefined ? onLibgomp : withLibgomp;
  const env = {
    ...given,
    ...adapting(runtime, given),
    ...(page === undefined ? {} : { VIRTFLEX_TOPOLOGY: resolve(page) }),
  };
  if (interpreter !== undefined) {
    yield* checkLibraries(program, interpreter, `${runtime}/libgomp.so.1`, env);
  }

  const exit = yield* Deferred.make<ProgramExit>();
  const group = stdio === "pipe";
  const child = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof spawn>, LaunchError>((resume) => {
      // The kernel kills the program when the thread that started it dies.
      const args = ["--pdeathsig", "KILL", "--", program, ...(options.args ?? [])];
      const started = spawn("setpriv", args, {
        env,
        cwd: options.cwd,
        detached: group,
        stdio: group ? ["ignore", "pipe", "pipe"] : "inherit",
      });
      started.on("error", ({ message }) => resume(Effect.fail(refuse("io", message))));
      started.on("spawn", () => resume(Effect.succeed(started)));
      started.on("exit", (code, signal) => {
        const how: ProgramExit =
          signal === null ? { _tag: "exited", code: code ?? 0 } : { _tag: "signalled", signal };
        Deferred.doneUnsafe(exit, Effect.succeed(how));
      });
    }),
    (started) => end(started, exit, group),
  );
  const streamOf = (readable: typeof child.stdout): RunningProgram["stdout"] =>
    readable === null
      ? Stream.empty
      : NodeStream.fromReadable({
          evaluate: () => readable,
          onError: (cause) => refuse("io", String(cause)),
        });
  return {
    pid: child.pid ?? 0,
    runtime,
    exit: Deferred.await(exit),
    stdout: streamOf(child.stdout),
    stderr: streamOf(child.stderr),
  } satisfies RunningProgram;
});

const end = Effect.fnUntraced(function* (
  child: ReturnType<typeof spawn>,
  exit: Deferred.Deferred<ProgramExit>,
  group: boolean,
) {
  if (yield* Deferred.isDone(exit)) return;
  const signal = (name: NodeJS.Signals) =>
    Effect.ignore(
      Effect.try(() =>
        group && child.pid !== undefined ? process.kill(-child.pid, name) : child.kill(name),
      ),
    );
  yield* signal("SIGTERM");
  yield* Effect.timeoutOption(Deferred.await(exit), patience);
  // The group may have members that outlive its first.
  yield* signal("SIGKILL");
  yield* Deferred.await(exit);
});
