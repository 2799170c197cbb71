/**
 * The C programs that measure: compiled when they are asked for, as unmodified
 * as a user's own, and read as lines of `name number`.
 *
 * @since 0.1.0
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { PagePublisher } from "@virtflex/guest-notify";
import { VnodeId } from "@virtflex/topo-model";
import { Effect } from "effect";

const root = join(import.meta.dirname, "../../..");

/** A scratch directory that goes with the scope. @since 0.1.0 */
export const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "virtflex-bench-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true })),
);

/** Compiles `programs/NAME.c` with gcc -O2 -fopenmp; answers the program's path. @since 0.1.0 */
export const compile = (directory: string, name: string) =>
  Effect.sync(() => {
    const program = join(directory, name);
    const source = join(root, "tools/bench/programs", `${name}.c`);
    const include = `-I${join(root, "native/abi/include")}`;
    execFileSync("gcc", ["-O2", "-fopenmp", "-Wall", "-Wextra", include, "-o", program, source]);
    return program;
  });

/** The directory of our libgomp, built if it is not there. @since 0.1.0 */
export const patchedLibgomp = Effect.sync(() => {
  const script = join(root, "gcc-libgomp/build.sh");
  const output = execFileSync(script, { stdio: ["ignore", "pipe", "inherit"] });
  return output.toString().trim().split("\n").at(-1) ?? "";
});

/** Runs a program; answers its lines of `name number`. @since 0.1.0 */
export const measure = (
  program: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {},
) =>
  Effect.sync(() => {
    const output = execFileSync(program, args, { env: { ...process.env, ...environment } });
    const lines = output.toString().trim().split("\n");
    return new Map(
      lines.map((line) => {
        const [name = "", value] = line.split(" ");
        return [name, Number(value)] as const;
      }),
    );
  });

/** Publishes a page at `path` with all of this machine's CPUs on one node. @since 0.1.0 */
export const publishPage = Effect.fn("publishPage")(function* (path: string) {
  const memoryBytes = 2 ** 30;
  const node = { present: true, online: true, evacuating: false, memoryBytes };
  const publisher = yield* PagePublisher;
  yield* publisher.publish({
    nodes: [node],
    cpuNode: Array.from({ length: availableParallelism() }, () => VnodeId.make(0)),
    distances: [[10]],
    resetCall: 0,
  });
  return path;
});
