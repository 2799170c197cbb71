/**
 * The source tree that this package is part of.
 */
import { fileURLToPath } from "node:url";

/**
 * The absolute path of what has this one in the tree: seen from packages/omp-runtime-shim/{src,dist}, and
 * from packages/cli/build, where the command is bundled. Nothing is there where only the package was installed.
 */
export const inSourceTree = (path: string): string =>
  fileURLToPath(new URL(`../../../${path}`, import.meta.url));
