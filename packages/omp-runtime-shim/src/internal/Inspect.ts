/** Whether a program can be started under an adapting runtime, and which, found out without running it. */
import { Effect, FileSystem, Stream } from "effect";
import { ChildProcess, ChildProcessSpawner } from "effect/process";
import { resolve as resolvePath } from "node:path";
import { LaunchError, type LaunchReason } from "../LaunchError.ts";
import * as Elf from "./Elf.ts";

const libgomp = "libgomp.so.1";
/** LLVM's runtime and Intel's, by which the same file goes. */
const llvmRuntimes = ["libomp.so.5", "libomp.so", "libiomp5.so"];

type Environment = Readonly<Record<string, string | undefined>>;

const refuse = (program: string, reason: LaunchReason, detail: string) =>
  new LaunchError({ program, reason, detail });

/** The file that execvp(3) would execute; absolute, as the program may start elsewhere. */
export const findProgram = Effect.fn("findProgram")(function* (program: string, env: Environment) {
  const fs = yield* FileSystem.FileSystem;
  const candidates = program.includes("/")
    ? [program]
    : (env["PATH"] ?? "").split(":").map((directory) => `${directory || "."}/${program}`);
  let found: LaunchError | undefined;
  for (const path of program === "" ? [] : candidates) {
    const info = yield* Effect.option(fs.stat(path));
    if (info._tag === "None") continue;
    if (info.value.type !== "File") {
      found ??= refuse(path, "not-executable", `it is a ${info.value.type.toLowerCase()}`);
    } else if ((info.value.mode & 0o111) === 0) {
      found ??= refuse(path, "not-executable", "it is not executable (chmod +x?)");
    } else if ((info.value.mode & 0o6000) !== 0) {
      const detail = "it is set-user-id or set-group-id, and its loader takes no other libraries";
      return yield* refuse(path, "privileged", detail);
    } else return resolvePath(path);
  }
  return yield* (
    found ??
    refuse(
      program,
      "not-found",
      program.includes("/") ? "there is no such file" : "it is not on PATH",
    )
  );
});

const firstLine = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem;
  const start = yield* fs
    .stream(path, { bytesToRead: 128 })
    .pipe(Stream.decodeText(), Stream.mkString);
  return start.split("\n")[0] ?? "";
});

/** The libraries that the loader would load, by name; undefined: it finds none of the name. */
const resolve = Effect.fn("resolve")(function* (
  program: string,
  interpreter: string,
  env: Environment,
) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner;
  const text = yield* spawner
    .string(ChildProcess.make(interpreter, ["--list", program], { env, stdin: "ignore" }), {
      includeStderr: true,
    })
    .pipe(Effect.mapError(({ message }) => refuse(program, "unloadable", message)));
  const libraries = new Map<string, string | undefined>();
  for (const line of text.split("\n")) {
    const [, name, path] = /^\t(\S+) => (not found|.*?)(?: \(0x[0-9a-f]+\))?$/.exec(line) ?? [];
    if (name !== undefined) libraries.set(name, path === "not found" ? undefined : path);
    else if (/^\t\//.test(line)) libraries.set(line.trim().split(" ")[0] ?? "", line.trim());
  }
  if (libraries.size === 0) return yield* refuse(program, "unloadable", text.trim());
  return libraries;
});

/** Which runtime a program uses; one that uses both is taken by its libgomp. */
export type RuntimeKind = "libgomp" | "libomp";

/** What its file tells of a dynamically linked program. */
const readProgram = Effect.fnUntraced(function* (path: string) {
  const { interpreter, needed } = yield* Elf.read(path).pipe(
    Effect.catchTag("PlatformError", ({ message }) => Effect.fail(refuse(path, "io", message))),
    Effect.catchTag("ElfRefused", ({ reason, detail }) =>
      Effect.gen(function* () {
        const line = yield* Effect.orElseSucceed(firstLine(path), () => "");
        return yield* line.startsWith("#!")
          ? refuse(path, "script", `it is a script for ${line.slice(2).trim()}: run a program`)
          : refuse(path, reason, detail);
      }),
    ),
  );
  return interpreter === undefined
    ? yield* refuse(path, "static", "it is statically linked, and its libraries can't be replaced")
    : { interpreter, needed };
});

/** The loader of a program that loads its runtime itself; undefined: of a script, which has its own. */
export const loaderOf = (path: string) =>
  readProgram(path).pipe(
    Effect.map(({ interpreter }): string | undefined => interpreter),
    Effect.catchIf(
      ({ reason }) => reason === "script",
      () => Effect.succeed(undefined),
    ),
  );

/** The runtime that the program at `path` uses in this environment. */
export const runtimeOf = Effect.fn("runtimeOf")(function* (path: string, env: Environment) {
  const elf = yield* readProgram(path);
  const libraries = yield* resolve(path, elf.interpreter, env);
  const uses = (name: string) => libraries.has(name) || elf.needed.includes(name);
  const kind: RuntimeKind | undefined = uses(libgomp)
    ? "libgomp"
    : llvmRuntimes.some(uses)
      ? "libomp"
      : undefined;
  if (kind === undefined) {
    const detail =
      "it is linked with no OpenMP runtime (gcc -fopenmp?); if it loads one itself, say which";
    return yield* refuse(path, "no-openmp", detail);
  }
  return { kind, interpreter: elf.interpreter };
});

/**
 * Checks that the program will find all of its libraries in this environment, and its libgomp, if it
 * has one, at `expected`.
 */
export const checkLibraries = Effect.fn("checkLibraries")(function* (
  path: string,
  interpreter: string,
  expected: string,
  env: Environment,
) {
  const libraries = yield* resolve(path, interpreter, env);
  const lost = [...libraries].find(([, found]) => found === undefined);
  if (lost !== undefined) return yield* refuse(path, "unloadable", `${lost[0]} is not found`);
  const loaded = libraries.get(libgomp);
  if (loaded !== undefined && loaded !== expected) {
    const detail = `it brings its own libgomp, ${loaded} (its RPATH?)`;
    return yield* refuse(path, "shadowed", detail);
  }
});
