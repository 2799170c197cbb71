/**
 * What is built beside the packages: the programs of tools/apps.
 */
import { Effect, FileSystem, Schema } from "effect";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The top of the repository, seen from packages/cli/{src,build}. */
export const repository = fileURLToPath(new URL("../../../", import.meta.url));

/** Something that the build makes is not there. @since 0.1.0 */
export class NotBuilt extends Schema.TaggedError<NotBuilt>()("NotBuilt", {
  path: Schema.String,
}) {
  readonly code = "NOT_BUILT";
  override get message(): string {
    return `${this.path} is not there. Build it: npx nx run-many -t build`;
  }
}

/** A program of tools/apps. */
export const app = Effect.fnUntraced(function* (name: string) {
  const fs = yield* FileSystem.FileSystem;
  const path = `${repository}tools/apps/build/${name}`;
  const built = yield* Effect.orElseSucceed(fs.exists(path), () => false);
  return built ? path : yield* new NotBuilt({ path });
});

/** Whether there is an adapting libgomp, of this source or an earlier one. */
export const findLibgomp = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem;
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "virtflex");
  const [found] = yield* fs.glob("libgomp-[0-9a-f]*/libgomp.so.1", { root: cache });
  return found === undefined
    ? yield* new NotBuilt({ path: `${cache}/libgomp-*` })
    : join(cache, dirname(found));
});
