/**
 * The C programs that measure: compiled when they are asked for, as unmodified
 * as a user's own, and read as lines of `name number`.
 *
 * @since 0.1.0
 */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { PagePublisher, type TopologyPage } from "@virtflex/guest-notify";
import { locateLibgomp, locateOmptTool } from "@virtflex/omp-runtime-shim";
import { VnodeId } from "@virtflex/topo-model";
import { Effect } from "effect";

const root = join(import.meta.dirname, "../../..");

/** A scratch directory that goes with the scope. @since 0.1.0 */
export const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "virtflex-bench-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true })),
);

/** Environment variables; what isn't named stays as it is. @since 0.1.0 */
export type Environment = Readonly<Record<string, string>>;

/** An OpenMP runtime as Debian has it, and what makes it follow. @since 0.1.0 */
export interface Runtime {
  readonly compiler: ReadonlyArray<string>;
  /** What the figures are compared with. */
  readonly baseline: string;
  readonly stock: Environment;
  readonly following: Environment;
}

/** GCC's and LLVM's. @since 0.1.0 */
export const runtimes = Effect.gen(function* () {
  const libgomp: Runtime = {
    compiler: ["gcc", "-fopenmp"],
    baseline: "Debian's libgomp",
    stock: { LD_LIBRARY_PATH: "" },
    following: { LD_LIBRARY_PATH: yield* locateLibgomp },
  };
  const libomp: Runtime = {
    compiler: ["clang-14", "-fopenmp=libomp"],
    baseline: "Debian's libomp",
    stock: { OMP_TOOL_LIBRARIES: "" },
    following: { OMP_TOOL_LIBRARIES: yield* locateOmptTool },
  };
  return [libgomp, libomp];
});

const build = (
  compiler: ReadonlyArray<string>,
  output: string,
  sources: ReadonlyArray<string>,
): string => {
  const [file = "", ...flags] = compiler;
  // A linker that takes only what is needed wants a library after what needs it.
  const isLibrary = (flag: string) => flag.startsWith("-l");
  const include = `-I${join(root, "native/abi/include")}`;
  const paths = sources.map((source) => join(root, "tools", source));
  execFileSync(file, [
    ...flags.filter((flag) => !isLibrary(flag)),
    "-O2",
    "-Wall",
    "-Wextra",
    "-D_GNU_SOURCE",
    include,
    "-o",
    output,
    ...paths,
    ...flags.filter(isLibrary),
    "-lm",
  ]);
  return output;
};

/** Compiles `programs/NAME.c`; answers the program's path. @since 0.1.0 */
export const compile = (
  directory: string,
  name: string,
  compiler: ReadonlyArray<string> = ["gcc", "-fopenmp"],
) =>
  Effect.sync(() =>
    build(compiler, join(directory, `${compiler[0] ?? ""}-${name}`), [`bench/programs/${name}.c`]),
  );

/** Compiles a program of `tools/apps` from these sources, the first of which names it. @since 0.1.0 */
export const compileApp = (
  directory: string,
  sources: ReadonlyArray<string>,
  compiler: ReadonlyArray<string>,
) =>
  Effect.sync(() =>
    build(
      compiler,
      join(directory, `${compiler[0] ?? ""}-${sources[0] ?? ""}`),
      [...sources, "program"].map((name) => `apps/src/${name}.c`),
    ),
  );

/** Runs a program to its end; answers what it said on stdout. */
const output = (program: string, args: ReadonlyArray<string>, environment: Environment = {}) =>
  Effect.promise(() =>
    promisify(execFile)(program, args, { env: { ...process.env, ...environment } }),
  ).pipe(Effect.map(({ stdout }) => stdout.trim()));

/** Runs a program; answers its lines of `name number`. @since 0.1.0 */
export const measure = (
  program: string,
  args: ReadonlyArray<string>,
  environment: Environment = {},
) =>
  Effect.map(output(program, args, environment), (text) => {
    const lines = text.split("\n");
    return new Map(
      lines.map((line) => {
        const [name = "", value] = line.split(" ");
        return [name, Number(value)] as const;
      }),
    );
  });

/**
 * A page of this machine's CPUs, dealt to so many nodes in order; of the second
 * and further ones all are being left if `leaving` says so.
 *
 * @since 0.1.0
 */
export const pageOf = (nodes: number, leaving = false): TopologyPage => {
  const cpus = availableParallelism();
  const ids = Array.from({ length: nodes }, (_, id) => id);
  return {
    nodes: ids.map((id) => ({
      present: true,
      online: true,
      evacuating: leaving && id > 0,
      memoryBytes: 2 ** 30,
    })),
    cpuNode: Array.from({ length: cpus }, (_, cpu) =>
      VnodeId.make(Math.floor((cpu * nodes) / cpus)),
    ),
    distances: ids.map((from) => ids.map((to) => (from === to ? 10 : 20))),
    resetCall: 0,
  };
};

/** Publishes the page of `pageOf` at `path`. @since 0.1.0 */
export const publishPage = Effect.fn("publishPage")(function* (
  path: string,
  nodes: number,
  leaving?: boolean,
) {
  const publisher = yield* PagePublisher;
  yield* publisher.publish(pageOf(nodes, leaving));
  return path;
});
