/**
 * Where the OMPT tool is that makes LLVM's libomp adapt.
 *
 * @since 0.1.0
 */
import { Effect, FileSystem } from "effect";
import { RuntimeMissing } from "./LaunchError.ts";
import { inSourceTree } from "./SourceTree.ts";

const builtTool = inSourceTree("native/ompt/build/libvirtflex-ompt.so");

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
