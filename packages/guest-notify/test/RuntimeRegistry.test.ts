import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Effect, Fiber, Layer, type Scope, Stream } from "effect";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { countAdapted, PagePublisher, type Registered, RuntimeRegistry } from "../src/index.ts";
import { pageOf } from "./page.ts";

let directory: string;
let libgomp: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "guest-notify-"));
  for (const [name, ...flags] of [["runtime"], ["regions", "-fopenmp"]] as const) {
    const source = fileURLToPath(new URL(`./programs/${name}.c`, import.meta.url));
    execFileSync("gcc", ["-O1", "-o", join(directory, name), source, ...flags]);
  }
  const build = fileURLToPath(new URL("../../../gcc-libgomp/build.sh", import.meta.url));
  libgomp = execFileSync("sh", [build], { stdio: ["ignore", "pipe", "inherit"] })
    .toString()
    .trim();
}, 600_000);
afterAll(() => rmSync(directory, { recursive: true }));
let count = 0;
const newPath = () => join(directory, `topology-${count++}`);

const run = <A, E>(
  path: string,
  test: Effect.Effect<A, E, PagePublisher | RuntimeRegistry | Scope.Scope>,
) =>
  Effect.runPromise(
    test.pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(RuntimeRegistry.layer(path), PagePublisher.layer(path))),
    ),
  );

const publish = (both: boolean) =>
  Effect.flatMap(PagePublisher, (publisher) => publisher.publish(pageOf(both)));

/** A process, until the scope closes. */
const start = (command: string, args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(command, args, {
        env: { ...process.env, ...env },
        stdio: ["pipe", "inherit", "inherit"],
      }),
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL")),
  );
const runtime = (path: string) => start(join(directory, "runtime"), [`${path}.d`]);
const acknowledge = (child: ChildProcess, text: string) =>
  Effect.sync(() => child.stdin?.write(`${text}\n`));

/** Waits, by its stream, until the registry is so. */
const until = (condition: (registered: Registered) => boolean) =>
  Effect.flatMap(RuntimeRegistry, ({ changes }) =>
    changes.pipe(Stream.filter(condition), Stream.runHead, Effect.flatMap(Effect.fromOption)),
  ).pipe(Effect.timeout("15 seconds"));

describe("the registry of runtimes", () => {
  test("tells who comes, who acknowledges and who dies", () => {
    const path = newPath();
    return run(
      path,
      Effect.gen(function* () {
        yield* publish(true);
        expect(yield* until(() => true)).toEqual({ generation: 1n, runtimes: [] });
        const first = yield* runtime(path);
        const one = yield* until(({ runtimes }) => runtimes.length === 1);
        expect(one.runtimes).toEqual([{ pid: first.pid, generation: 0n, adaptedMs: undefined }]);
        const second = yield* runtime(path);
        yield* until(({ runtimes }) => runtimes.length === 2);

        yield* acknowledge(first, "1");
        yield* until((now) => countAdapted(now, 1n) === 1);
        // Of another generation than the one that is published.
        yield* publish(false);
        const behind = yield* until(({ generation }) => generation === 2n);
        expect(countAdapted(behind, 2n)).toBe(0);
        yield* acknowledge(first, "2");
        yield* acknowledge(second, "2");
        const both = yield* until((now) => countAdapted(now, 2n) === 2);
        expect(both.runtimes.map(({ pid }) => pid).sort()).toEqual([first.pid, second.pid].sort());

        first.kill("SIGKILL");
        const left = yield* until(({ runtimes }) => runtimes.length === 1);
        expect(left.runtimes[0]?.pid).toBe(second.pid);
        yield* Effect.sleep("1200 millis");
        const registry = yield* RuntimeRegistry;
        yield* registry.registered;
        expect(existsSync(`${path}.d/${first.pid}`)).toBe(false);
        expect(existsSync(`${path}.d/${second.pid}`)).toBe(true);
      }),
    );
  });

  test("is not misled by what lies there", () => {
    const path = newPath();
    return run(
      path,
      Effect.gen(function* () {
        yield* publish(true);
        for (const name of ["1", "junk", "0", "-5", "99999999999", "7\n8"]) {
          writeFileSync(`${path}.d/${name}`, "1\n");
        }
        const child = yield* runtime(path);
        yield* acknowledge(child, "99999999999999999999999999");
        const { runtimes } = yield* until((now) => now.runtimes.length > 0);
        expect(runtimes).toEqual([{ pid: child.pid, generation: 0n, adaptedMs: undefined }]);
      }),
    );
  });

  test("has a program of the adapting libgomp, and drops it when it is killed", () => {
    const path = newPath();
    return run(
      path,
      Effect.gen(function* () {
        yield* publish(true);
        const program = yield* start(join(directory, "regions"), [], {
          LD_LIBRARY_PATH: libgomp,
          VIRTFLEX_TOPOLOGY: path,
          OMP_WAIT_POLICY: "passive",
        });
        const there = yield* until((now) => countAdapted(now, 1n) === 1);
        expect(there.runtimes[0]?.pid).toBe(program.pid);
        const watching = yield* Effect.forkScoped(
          until((now) => now.generation === 2n && countAdapted(now, 2n) === 1),
        );
        yield* Effect.sleep("50 millis");
        yield* publish(false);
        const adapted = yield* Fiber.join(watching);
        expect(adapted.runtimes[0]?.adaptedMs).toBeGreaterThan(0);
        program.kill("SIGKILL");
        expect((yield* until(({ runtimes }) => runtimes.length === 0)).generation).toBe(2n);
      }),
    );
  });
});
