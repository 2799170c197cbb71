/** Whether a program can be started under the adapting libgomp, found out without running it. */
import { Effect, FileSystem, Stream } from "effect";
import { ChildProcess, ChildProcessSpawner } from "effect/process";
import { resolve as resolvePath } from "node:path";
import { LaunchError, type LaunchReason } from "../LaunchError.ts";
import * as Elf from "./Elf.ts";

export const libgomp = "libgomp.so.1";
/** LLVM's runtime and Intel's, by which the same file goes. */
const otherRuntimes = ["libomp.so.5", "libomp.so", "libiomp5.so"];

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

/**
 * Checks that the program at `path`, in this environment, will run on the
 * libgomp of `directory`, which must be on its LD_LIBRARY_PATH.
 */
export const check = Effect.fn("check")(function* (
  path: string,
  directory: string,
  env: Environment,
) {
  const elf = yield* Elf.read(path).pipe(
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
  if (elf.interpreter === undefined) {
    return yield* refuse(
      path,
      "static",
      "it is statically linked, and its libraries can't be replaced",
    );
  }
  const libraries = yield* resolve(path, elf.interpreter, env);
  const loaded = libraries.get(libgomp);
  if (loaded === undefined) {
    const other = otherRuntimes.find((name) => libraries.has(name));
    if (other !== undefined) {
      const detail = `its OpenMP runtime is ${other}, and only libgomp adapts`;
      return yield* refuse(path, "unsupported-runtime", detail);
    }
    return yield* libraries.has(libgomp) || elf.needed.includes(libgomp)
      ? refuse(path, "unloadable", `${libgomp} is not found`)
      : refuse(path, "no-openmp", "it is linked with no OpenMP runtime (gcc -fopenmp?)");
  }
  const lost = [...libraries].find(([, found]) => found === undefined);
  if (lost !== undefined) return yield* refuse(path, "unloadable", `${lost[0]} is not found`);
  if (loaded !== `${directory}/${libgomp}`) {
    const detail = `it brings its own libgomp, ${loaded} (its RPATH?)`;
    return yield* refuse(path, "shadowed", detail);
  }
});
