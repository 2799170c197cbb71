/**
 * Building by stages: each makes a directory of the cache, named by the hash of all that went into it.
 *
 * @since 0.1.0
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
} from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { basename, join } from "node:path";
import { Clock, Effect, Semaphore } from "effect";
import { MissingTool, StageFailed } from "./LabError.ts";

/** @since 0.1.0 */
export interface Stage {
  readonly name: string;
  /** The bash script that fills `$OUT`. */
  readonly script: string;
  /** Files and directories whose content goes into the result. */
  readonly files: ReadonlyArray<string>;
  /** Variables of the script, part of the hash. */
  readonly environment: Readonly<Record<string, string>>;
  /** Earlier stages, by the variable that tells the script their directory. */
  readonly needs: Readonly<Record<string, Stage>>;
  /** What to tell a waiting user: a usual duration. */
  readonly usual: string;
}

/** @since 0.1.0 */
export interface Progress {
  readonly stage: string;
  readonly event: "building" | "built" | "cached";
  readonly seconds: number;
  readonly usual: string;
}

/** `${XDG_CACHE_HOME:-~/.cache}/virtflex`. @since 0.1.0 */
export const cacheDirectory = (): string =>
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "virtflex");

/** Paths of this checkout are no part of a key: another one shares the cache. */
const workspace = join(import.meta.dirname, "..", "..", "..");

const hashPath = (hash: ReturnType<typeof createHash>, path: string): void => {
  const stat = statSync(path);
  if (stat.isDirectory()) {
    for (const entry of readdirSync(path).sort()) {
      hash.update(`${entry}/`);
      hashPath(hash, join(path, entry));
    }
  } else {
    hash.update(`${basename(path)}:${String(stat.size)}:${stat.mode & 0o111 ? "x" : "-"}:`);
    hash.update(readFileSync(path));
  }
};

/**
 * Names the result of a stage: its script, the files, the variables and the keys of what it needs.
 *
 * @since 0.1.0
 */
export const key = (stage: Stage): string => {
  const hash = createHash("sha256");
  for (const file of [stage.script, ...stage.files]) hashPath(hash, file);
  for (const [name, value] of Object.entries(stage.environment).sort()) {
    hash.update(`\0${name}=${value.replaceAll(workspace, "")}`);
  }
  for (const [name, need] of Object.entries(stage.needs).sort()) {
    hash.update(`\0${name}:${key(need)}`);
  }
  return hash.digest("hex").slice(0, 16);
};

/** Where the result of a stage is, or will be. @since 0.1.0 */
export const directory = (stage: Stage): string =>
  join(cacheDirectory(), `${stage.name}-${key(stage)}`);

const tailOf = (file: string): string =>
  readFileSync(file, "utf8").trimEnd().split("\n").slice(-25).join("\n");

const build = Effect.fn("Stage.build")(function* (
  stage: Stage,
  final: string,
  directories: Readonly<Record<string, string>>,
) {
  const cache = cacheDirectory();
  const log = join(cache, "logs", `${stage.name}.log`);
  for (const folder of ["logs", "locks", "ccache"]) {
    mkdirSync(join(cache, folder), { recursive: true });
  }
  const script = join(import.meta.dirname, "..", "stages", "run-stage.sh");
  const code = yield* Effect.callback<number | null, MissingTool>((resume) => {
    const output = openSync(log, "w");
    const child = spawn(
      "setpriv",
      [
        "--pdeathsig",
        "TERM",
        "bash",
        script,
        final,
        stage.script,
        join(cache, "locks", basename(final)),
      ],
      {
        stdio: ["ignore", output, output],
        env: {
          PATH: process.env["PATH"],
          HOME: process.env["HOME"],
          TMPDIR: process.env["TMPDIR"],
          http_proxy: process.env["http_proxy"],
          LC_ALL: "C",
          ...stage.environment,
          ...directories,
          CCACHE: join(cache, "ccache"),
          JOBS: String(availableParallelism()),
        },
      },
    );
    closeSync(output);
    child.on("error", (error) => resume(new MissingTool({ message: error.message })));
    child.on("exit", (status) => resume(Effect.succeed(status)));
    return Effect.callback<undefined>((gone) => {
      child.on("exit", () => gone(Effect.undefined));
      child.kill("SIGTERM");
    });
  });
  if (code !== 0) {
    const tail = tailOf(log);
    return yield* new StageFailed({
      stage: stage.name,
      log,
      tail,
      message: `stage ${stage.name} failed (status ${String(code)}); the end of ${log}:\n${tail}`,
    });
  }
  return final;
});

type Results<Stages> = {
  readonly [Name in keyof Stages]: Stages[Name] extends Stage ? string : string | undefined;
};

/**
 * Makes the results of the stages, and of all that they need, where the cache lacks them; two at a time. Those that are undefined are not wanted.
 *
 * @since 0.1.0
 */
export const ensure = Effect.fn("Stage.ensure")(function* <
  const Stages extends Readonly<Record<string, Stage | undefined>>,
>(stages: Stages, report: (progress: Progress) => Effect.Effect<void>) {
  const semaphore = yield* Semaphore.make(2);
  const started = new Map<string, Effect.Effect<string, StageFailed | MissingTool>>();

  const made = (stage: Stage, final: string): Effect.Effect<string, StageFailed | MissingTool> =>
    Effect.suspend(() => {
      if (existsSync(final)) {
        const now = performance.timeOrigin + performance.now();
        utimesSync(final, now / 1000, now / 1000);
        return Effect.as(
          report({ stage: stage.name, event: "cached", seconds: 0, usual: stage.usual }),
          final,
        );
      }
      return Effect.gen(function* () {
        const directories = yield* Effect.all(
          Object.fromEntries(Object.entries(stage.needs).map(([name, need]) => [name, once(need)])),
          { concurrency: "unbounded" },
        );
        return yield* semaphore.withPermit(
          Effect.gen(function* () {
            yield* report({ stage: stage.name, event: "building", seconds: 0, usual: stage.usual });
            const start = yield* Clock.currentTimeMillis;
            const result = yield* build(stage, final, directories);
            const seconds = ((yield* Clock.currentTimeMillis) - start) / 1000;
            yield* report({ stage: stage.name, event: "built", seconds, usual: stage.usual });
            return result;
          }),
        );
      });
    });

  const once = (stage: Stage): Effect.Effect<string, StageFailed | MissingTool> =>
    Effect.suspend(() => {
      const final = directory(stage);
      const known = started.get(final);
      if (known !== undefined) return known;
      const cached = Effect.runSync(Effect.cached(made(stage, final)));
      started.set(final, cached);
      return cached;
    });

  const all = yield* Effect.all(
    Object.entries(stages).flatMap(([name, stage]) =>
      stage === undefined ? [] : [Effect.map(once(stage), (path) => [name, path] as const)],
    ),
    { concurrency: "unbounded" },
  );
  return Object.fromEntries(all) as Results<Stages>;
});
