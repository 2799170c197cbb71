/**
 * What of Virtflex goes into a guest: runtimes, programs, kernel module, as far as they are built. Each builds itself, by its own
 * script or by Nx; what isn't there is left out and named.
 *
 * @since 0.1.0
 */
import { execFile } from "node:child_process";
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { basename, join } from "node:path";
import { Effect } from "effect";
import type { Stage } from "./Stage.ts";

/** @since 0.1.0 */
export interface Payload {
  readonly files: ReadonlyArray<{ readonly source: string; readonly target: string }>;
  readonly missing: ReadonlyArray<string>;
}

const workspace = join(import.meta.dirname, "..", "..", "..");

/** The last line that a build script prints: the path of its result. */
const resultOf = (
  script: string,
  args: ReadonlyArray<string> = [],
  environment: Readonly<Record<string, string>> = {},
): Effect.Effect<string | undefined> =>
  Effect.callback((resume) => {
    if (!existsSync(script)) {
      resume(Effect.succeed(undefined));
      return;
    }
    execFile(script, args, { env: { ...process.env, ...environment } }, (error, stdout) =>
      resume(Effect.succeed(error === null ? stdout.trim().split("\n").at(-1) : undefined)),
    );
  });

const isElf = (file: string): boolean => {
  if (!statSync(file).isFile() || (statSync(file).mode & 0o111) === 0) return false;
  const magic = Buffer.alloc(4);
  const descriptor = openSync(file, "r");
  readSync(descriptor, magic, 0, 4, 0);
  closeSync(descriptor);
  return magic.equals(Buffer.from("\x7fELF", "latin1"));
};

/** Programs and libraries in a build folder. */
const elfs = (folder: string): ReadonlyArray<string> =>
  existsSync(folder)
    ? readdirSync(folder)
        .map((name) => join(folder, name))
        .filter(isElf)
    : [];

/**
 * Finds what there is for guests with this kernel, a result of `kernelOf`.
 *
 * @since 0.1.0
 */
export const collect = Effect.fn("Payload.collect")(function* (kernel: string) {
  const files: Array<{ source: string; target: string }> = [];
  const missing: Array<string> = [];
  const add = (what: string, sources: ReadonlyArray<string>, folder: string) => {
    if (sources.length === 0) missing.push(what);
    for (const source of sources) files.push({ source, target: `${folder}/${basename(source)}` });
  };
  const existing = (file: string | undefined) =>
    file !== undefined && existsSync(file) ? [file] : [];

  const gomp = yield* resultOf(join(workspace, "gcc-libgomp", "build.sh"));
  add(
    "libgomp",
    existing(gomp === undefined ? undefined : join(gomp, "libgomp.so.1")),
    "opt/virtflex/lib",
  );
  const ompt = elfs(join(workspace, "native", "ompt", "build"));
  add(
    "libvirtflex-ompt",
    ompt.filter((file) => file.endsWith(".so")),
    "opt/virtflex/lib",
  );
  add("programs", elfs(join(workspace, "tools", "apps", "build")), "opt/virtflex/bin");
  const release = readFileSync(join(kernel, "RELEASE"), "utf8").trim();
  const headers = join(kernel, "build");
  const module = yield* resultOf(
    join(workspace, "kernel", "module", "build.sh"),
    [release],
    // Debian's headers are where its package puts them.
    existsSync(headers) ? { KDIR: headers } : {},
  );
  add("virtflex.ko", existing(module), "opt/virtflex/lib");
  return { files, missing } satisfies Payload;
});

/** @since 0.1.0 */
export const stageOf = (payload: Payload): Stage => ({
  name: "payload",
  script: join(import.meta.dirname, "..", "stages", "payload.sh"),
  files: payload.files.map(({ source }) => source),
  environment: {
    FILES: payload.files.map(({ source, target }) => `${source} ${target}`).join("\n"),
  },
  needs: {},
  usual: "1 s",
});
