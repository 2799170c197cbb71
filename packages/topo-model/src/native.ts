/**
 * The one door to the addon over libhwloc, and its types. It is loaded when
 * first asked for, so that the package imports fine where neither is installed.
 */
import { createRequire } from "node:module";
import { Result } from "effect";

export interface NativeNuma {
  readonly nodes: ReadonlyArray<{
    readonly osIndex: number;
    readonly cpus: ReadonlyArray<number>;
    readonly memoryBytes: number;
  }>;
  /** Row by row; empty when hwloc knows none. */
  readonly distances: ReadonlyArray<number>;
}

interface Native {
  readonly readMachine: () => NativeNuma;
  readonly readXml: (path: string) => NativeNuma;
  readonly readSynthetic: (description: string) => NativeNuma;
  readonly writeXml: (xml: string, distances: ReadonlyArray<number>) => string;
}

let loaded: Native | undefined;

export const native = (): Result.Result<Native, unknown> =>
  Result.try(
    () => (loaded ??= createRequire(import.meta.url)("@virtflex/native-topo-model") as Native),
  );
