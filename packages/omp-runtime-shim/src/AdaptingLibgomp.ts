/**
 * Where the adapting libgomp is.
 *
 * @since 0.1.0
 */
import { Effect, FileSystem } from "effect";
import { ChildProcess, ChildProcessSpawner } from "effect/process";
import { homedir } from "node:os";
import { join } from "node:path";
import { RuntimeMissing } from "./LaunchError.ts";
import { inSourceTree } from "./SourceTree.ts";

const missing = (detail: string) =>
  new RuntimeMissing({ runtime: "libgomp", detail, remedy: "gcc-libgomp/build.sh" });

const buildScript = inSourceTree("gcc-libgomp/build.sh");

/** Of this source tree: built if it was not, telling of it on stderr. */
const built = Effect.gen(function* () {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner;
  return yield* spawner
    .string(ChildProcess.make("sh", [buildScript], { stdin: "ignore", stderr: "inherit" }))
    .pipe(Effect.mapError(({ message }) => missing(message)));
}).pipe(Effect.map((text) => text.trim().split("\n").at(-1) ?? ""));

/** The one in the cache that was built last. */
const cached = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem;
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const root = join(cache, "virtflex");
  const names = yield* fs.readDirectory(root);
  const found = yield* Effect.forEach(
    names.filter((name) => /^libgomp-[0-9a-f]+$/.test(name)),
    (name) =>
      Effect.map(fs.stat(join(root, name, "libgomp.so.1")), ({ mtime }) => ({
        directory: join(root, name),
        builtAt: mtime._tag === "Some" ? mtime.value.getTime() : 0,
      })).pipe(Effect.option),
  );
  const there = found.flatMap((each) => (each._tag === "Some" ? [each.value] : []));
  return there.sort((a, b) => b.builtAt - a.builtAt)[0]?.directory ?? "";
}).pipe(Effect.orElseSucceed(() => ""));

/**
 * The directory of the adapting `libgomp.so.1`. In a source tree it is that of
 * the tree, which is built (a minute, Debian's packages gcc-12, gcc-12-source,
 * gfortran-12) and cached below `~/.cache/virtflex` if it was not; elsewhere the
 * latest of that cache.
 *
 * @since 0.1.0
 */
export const locateLibgomp = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem;
  const inTree = yield* Effect.orElseSucceed(fs.exists(buildScript), () => false);
  const directory = yield* inTree ? built : cached;
  const isThere = yield* fs
    .exists(`${directory}/libgomp.so.1`)
    .pipe(Effect.orElseSucceed(() => false));
  if (directory === "" || !isThere) {
    return yield* missing("the cache has none");
  }
  return directory;
}).pipe(Effect.withSpan("locateLibgomp"));
