/**
 * Where the OMPT tool is that makes LLVM's libomp adapt.
 *
 * @since 0.1.0
 */
import { Effect, FileSystem } from "effect";
import { fileURLToPath } from "node:url";
import { RuntimeMissing } from "./LaunchError.ts";

/** Seen from packages/omp-runtime-shim/{src,dist}, and from packages/cli/build, where the command is bundled. */
const builtTool = fileURLToPath(
  new URL("../../../native/ompt/build/libvirtflex-ompt.so", import.meta.url),
);

/** The path of the source tree's `libvirtflex-ompt.so`. @since 0.1.0 */
export const locateOmptTool = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem;
  const isThere = yield* Effect.orElseSucceed(fs.exists(builtTool), () => false);
  return isThere
    ? builtTool
    : yield* new RuntimeMissing({
        runtime: "OMPT tool",
        detail: `${builtTool} is not there`,
        remedy: "npx nx build @virtflex/native-ompt",
      });
});
