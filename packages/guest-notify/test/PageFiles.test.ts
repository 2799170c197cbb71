import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Deferred, Effect, Fiber, Layer, type Scope, Stream } from "effect";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type PageError, PagePublisher, PageReader, type PublishedPage } from "../src/index.ts";
import { layout } from "../src/TopologyPage.ts";
import { pageOf } from "./page.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "guest-notify-"));
});
afterAll(() => rmSync(directory, { recursive: true }));
let count = 0;
const newPath = () => join(directory, `topology-${count++}`);

const run = <A, E>(test: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.runPromise(Effect.scoped(test));

const publishing = <A, E, R>(path: string, use: Effect.Effect<A, E, R>) =>
  Effect.provide(use, PagePublisher.layer(path));
const publish = (both: boolean, mebibytes = 0) =>
  Effect.flatMap(PagePublisher, (publisher) => publisher.publish(pageOf(both, mebibytes)));
const read = (path: string) =>
  Effect.flatMap(PageReader, (reader) => reader.read).pipe(Effect.provide(PageReader.layer(path)));
const refusal = (effect: Effect.Effect<unknown, PageError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason);

/** Writes into a page's file, as a publisher that dies would leave it. */
const poke = (path: string, offset: number, value: number) => {
  const bytes = readFileSync(path);
  bytes.writeUInt32LE(value, offset);
  writeFileSync(path, bytes, { flag: "r+" });
};

describe("a page in a plain file", () => {
  test("is read as it was published, and its generation raised when runtimes have to see it", () =>
    run(
      Effect.gen(function* () {
        const path = newPath();
        const generations = yield* publishing(
          path,
          Effect.all([publish(true, 1), publish(true, 2), publish(false, 2), publish(true, 3)]),
        );
        expect(generations).toEqual([1n, 1n, 2n, 3n]);
        expect(yield* read(path)).toEqual({ ...pageOf(true, 3), generation: 3n });
        expect(readFileSync(`${path}.d/generation`, "utf8")).toMatch(/^3\n[0-9]+\n$/);
        // A successor that has nothing new to say says nothing.
        expect(yield* publishing(path, publish(true, 4))).toBe(3n);
        expect(yield* publishing(path, publish(false))).toBe(4n);
      }),
    ));

  test("is refused with a reason where it is none, or can't be trusted", () =>
    run(
      Effect.gen(function* () {
        const absent = newPath();
        expect(yield* refusal(read(absent))).toBe("absent");
        expect(yield* refusal(publishing("/nowhere/at/all", publish(true)))).toBe("absent");

        const letter = newPath();
        writeFileSync(letter, "Dear reader\n");
        expect(yield* refusal(read(letter))).toBe("not-a-page");
        expect(yield* refusal(publishing(letter, publish(true)))).toBe("not-a-page");
        expect(readFileSync(letter, "utf8")).toBe("Dear reader\n");

        const path = newPath();
        yield* publishing(path, Effect.void);
        expect(yield* refusal(read(path))).toBe("unpublished");
        yield* publishing(path, publish(true));
        const link = newPath();
        symlinkSync(path, link);
        expect(yield* refusal(publishing(link, publish(true)))).toBe("not-a-page");
        const both = publishing(path, publishing(path, publish(true)));
        expect(yield* refusal(both)).toBe("published-elsewhere");

        poke(path, layout.nodeCount, 65);
        const invalid = yield* Effect.flip(read(path));
        expect(invalid.code).toBe("PAGE_INVALID");
        expect(invalid.message).toContain(path);
        expect(invalid.message).toContain("node_count must be from 1 to 64, found 65");

        chmodSync(path, 0o666);
        expect(yield* refusal(read(path))).toBe("insecure");
        expect(yield* refusal(publishing(path, publish(true)))).toBe("insecure");
      }),
    ));

  test("that a killed publisher left half-written is busy until its successor repairs it", () =>
    run(
      Effect.gen(function* () {
        const path = newPath();
        yield* publishing(path, publish(true, 7));
        poke(path, layout.sequence, 0x101);
        poke(path, layout.node + layout.nodeMemoryKib, 12345);
        expect(yield* refusal(read(path))).toBe("busy");
        // Nobody knows what runtimes made of it, so they look again.
        expect(yield* publishing(path, publish(true, 7))).toBe(2n);
        expect(yield* read(path)).toEqual({ ...pageOf(true, 7), generation: 2n });
      }),
    ));

  test("tells each new generation, and sleeps in between", () =>
    run(
      Effect.gen(function* () {
        const path = newPath();
        const seen: Array<PublishedPage> = [];
        const first = yield* Deferred.make<undefined>();
        const listening = Layer.provideMerge(PageReader.layer(path), PagePublisher.layer(path));
        yield* Effect.gen(function* () {
          yield* publish(true);
          const reader = yield* PageReader;
          const reading = yield* reader.changes.pipe(
            Stream.tap((page) => Effect.sync(() => seen.push(page))),
            Stream.tap(() => Deferred.succeed(first, undefined)),
            Stream.takeUntil(({ generation }) => generation === 4n),
            Stream.runDrain,
            Effect.forkChild,
          );
          yield* Deferred.await(first);
          const { user, system } = process.cpuUsage();
          yield* Effect.sleep("300 millis");
          const used = process.cpuUsage();
          // Of 300 ms, asleep: a loop that polls would use most of them.
          expect(used.user + used.system - user - system).toBeLessThan(150_000);
          for (const both of [false, true, false]) {
            yield* publish(both);
            yield* publish(both, 5);
            yield* Effect.sleep("50 millis");
          }
          yield* Fiber.join(reading);
        }).pipe(Effect.provide(listening));
        const generations = seen.map(({ generation }) => generation);
        expect(generations).toEqual([...new Set(generations)].sort());
        expect(generations.at(0)).toBe(1n);
        expect(generations.at(-1)).toBe(4n);
        expect(seen.at(-1)?.nodes[1]?.online).toBe(false);
      }),
    ));

  test("whose directory goes away ends the stream with an error", () =>
    run(
      Effect.gen(function* () {
        const path = newPath();
        yield* publishing(path, publish(true));
        const exit = yield* PageReader.pipe(
          Effect.flatMap((reader) =>
            reader.changes.pipe(
              Stream.tap(() => Effect.sync(() => rmSync(`${path}.d`, { recursive: true }))),
              Stream.runDrain,
            ),
          ),
          Effect.provide(PageReader.layer(path)),
          Effect.flip,
        );
        expect(exit.code).toBe("PAGE_GONE");
      }),
    ));
});

test("a publisher that is killed at any point leaves a page that is whole, or is repaired", async () => {
  const path = newPath();
  let torn = 0;
  for (let round = 0; round < 8; round++) {
    const child = spawn(
      process.execPath,
      [
        "--disable-warning=ExperimentalWarning",
        "--conditions=@virtflex/source",
        fileURLToPath(new URL("./publishing.ts", import.meta.url)),
        path,
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    const announced = () => {
      const before = Effect.runSyncExit(Effect.sync(() => readFileSync(`${path}.d/generation`)));
      return before._tag === "Success" ? before.value.toString() : "";
    };
    const before = announced();
    while (announced() === before && child.exitCode === null) await setTimeout(5);
    await setTimeout(Math.random() * 20);
    child.kill("SIGKILL");
    await once(child, "exit");

    const found = await Effect.runPromise(Effect.result(read(path)));
    if (found._tag === "Success") {
      expect(found.success.nodes[0]?.memoryBytes).toBe(found.success.nodes[1]?.memoryBytes);
    } else {
      expect(found.failure.reason).toBe("busy");
      torn++;
    }
    await Effect.runPromise(publishing(path, publish(true, round)));
    expect(await Effect.runPromise(read(path))).toMatchObject(pageOf(true, round));
  }
  expect(torn).toBeLessThanOrEqual(8);
}, 120_000);
