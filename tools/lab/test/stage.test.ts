import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { Effect, Exit, Fiber } from "effect";
import * as Stage from "../src/Stage.ts";
import { checkFlavour, kernelOf, patches } from "../src/stages.ts";

let folder = "";
const before = process.env["XDG_CACHE_HOME"];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lab-stage-"));
  process.env["XDG_CACHE_HOME"] = folder;
});
afterEach(() => {
  if (before === undefined) delete process.env["XDG_CACHE_HOME"];
  else process.env["XDG_CACHE_HOME"] = before;
  rmSync(folder, { recursive: true, force: true });
});

const stage = (name: string, script: string, more: Partial<Stage.Stage> = {}): Stage.Stage => {
  const file = join(folder, `${name}.sh`);
  writeFileSync(file, script);
  return { name, script: file, files: [], environment: {}, needs: {}, usual: "0 s", ...more };
};

const ensure = (stages: Record<string, Stage.Stage | undefined>, events: Array<string> = []) =>
  Stage.ensure(stages, ({ stage, event }) =>
    Effect.sync(() => void events.push(`${stage} ${event}`)),
  );

const until = async (good: () => boolean): Promise<void> => {
  for (let i = 0; i < 600 && !good(); i++) await setTimeout(100);
  expect(good()).toBe(true);
};

describe("the key of a stage", () => {
  it("changes with its script, its files, its variables, and with what it needs", () => {
    const input = join(folder, "input");
    writeFileSync(input, "1");
    const base = () => stage("need", "echo 1");
    const top = () =>
      stage("top", "true", { files: [input], environment: { A: "1" }, needs: { NEED: base() } });
    const first = Stage.key(top());
    expect(Stage.key(top())).toBe(first);

    writeFileSync(input, "2");
    const second = Stage.key(top());
    expect(second).not.toBe(first);
    expect(Stage.key({ ...top(), environment: { A: "2" } })).not.toBe(second);
    expect(Stage.key({ ...top(), needs: { NEED: stage("need", "echo 2") } })).not.toBe(second);
    expect(Stage.key({ ...top(), script: stage("other", "false").script })).not.toBe(second);
  });

  it("is the same for a checkout elsewhere", () => {
    const workspace = join(import.meta.dirname, "..", "..", "..");
    expect(Stage.key(stage("a", "true", { environment: { X: `${workspace}/xen` } }))).toBe(
      Stage.key(stage("a", "true", { environment: { X: "/xen" } })),
    );
  });
});

describe("building", () => {
  it("builds what is needed first, tells where it is, and builds nothing twice", async () => {
    const base = stage("base", 'echo made >"$OUT/x"');
    const left = stage("left", 'cp "$BASE/x" "$OUT/y"', { needs: { BASE: base } });
    const right = stage("right", 'cp "$BASE/x" "$OUT/z"', { needs: { BASE: base } });
    const events: Array<string> = [];
    const made = await Effect.runPromise(ensure({ left, right, unwanted: undefined }, events));
    expect(Object.keys(made)).toEqual(["left", "right"]);
    expect(readFileSync(join(made["left"] ?? "", "y"), "utf8")).toBe("made\n");
    expect(events.filter((event) => event === "base building")).toHaveLength(1);

    const again: Array<string> = [];
    await Effect.runPromise(ensure({ left, right }, again));
    expect(again).toEqual(["left cached", "right cached"]);
  });

  it("keeps nothing of a stage that fails, and shows the end of its log", async () => {
    const bad = stage("bad", 'touch "$OUT/half"; echo "no space" >&2; exit 3');
    const error = await Effect.runPromise(Effect.flip(ensure({ bad })));
    expect(error._tag).toBe("StageFailed");
    expect(error.message).toContain("no space");
    expect(existsSync(Stage.directory(bad))).toBe(false);
    expect(readdirSync(Stage.cacheDirectory()).filter((name) => name.startsWith("bad"))).toEqual(
      [],
    );
  });

  it("is done once by two builders at the same time, and clears what a dead one left", async () => {
    const count = join(folder, "count");
    const slow = stage("slow", `echo run >>"${count}"; sleep 0.5`);
    mkdirSync(`${Stage.directory(slow)}.tmp.dead00`, { recursive: true });
    await Promise.all([Effect.runPromise(ensure({ slow })), Effect.runPromise(ensure({ slow }))]);
    expect(readFileSync(count, "utf8")).toBe("run\n");
    expect(readdirSync(Stage.cacheDirectory()).filter((name) => name.includes(".tmp."))).toEqual(
      [],
    );
  });

  it("is as nice as its builder, and so is its session where Linux shares the CPUs by session", () => {
    const out = join(folder, "nice-0123456789abcdef");
    const { script } = stage("nice", 'nice >"$OUT/own"; cp /proc/self/autogroup "$OUT" || true');
    const runStage = join(import.meta.dirname, "..", "stages", "run-stage.sh");
    execFileSync("nice", ["-n", "7", "bash", runStage, out, script, join(folder, "lock")]);
    const own = Number(execFileSync("nice", { encoding: "utf8" }));
    const expected = Math.min(19, own + 7);
    expect(readFileSync(join(out, "own"), "utf8")).toBe(`${String(expected)}\n`);
    if (existsSync("/proc/self/autogroup")) {
      expect(readFileSync(join(out, "autogroup"), "utf8")).toMatch(
        new RegExp(` nice ${String(expected)}\n$`),
      );
    }
  });

  it("leaves no builder behind when it is interrupted", async () => {
    const late = join(folder, "late");
    const long = stage("long", `sleep 1; touch "${late}"`);
    const fiber = Effect.runFork(ensure({ long }));
    await setTimeout(300);
    expect(
      Exit.isFailure(
        await Effect.runPromise(Fiber.interrupt(fiber).pipe(Effect.andThen(Fiber.await(fiber)))),
      ),
    ).toBe(true);
    await setTimeout(1500);
    expect(existsSync(late)).toBe(false);
    expect(existsSync(Stage.directory(long))).toBe(false);
  });

  it.each(["SIGINT", "SIGKILL"] as const)(
    "leaves nothing behind when its process is ended by %s, and starts anew the next time",
    async (signal) => {
      const [begun, late] = [join(folder, "begun"), join(folder, "late")];
      const long = stage("long", `touch "${begun}"; sleep 2 & wait; touch "${late}" "$OUT/made"`);
      const program = join(folder, "program.ts");
      const source = join(import.meta.dirname, "..", "src", "Stage.ts");
      const effect = import.meta.resolve("effect");
      writeFileSync(
        program,
        `import { Effect } from ${JSON.stringify(effect)};
         import { ensure } from ${JSON.stringify(source)};
         await Effect.runPromise(ensure({ long: ${JSON.stringify(long)} }, () => Effect.void));`,
      );
      const child = spawn(process.execPath, [program], {
        stdio: "inherit",
        detached: true,
        env: { ...process.env, XDG_CACHE_HOME: folder },
      });
      const ended = once(child, "exit");
      await until(() => existsSync(begun));
      // As a terminal does, the one; the other is told by the kernel to whoever was started by it.
      const pid = child.pid ?? 0;
      process.kill(signal === "SIGINT" ? -pid : pid, signal);
      await ended;
      const cache = Stage.cacheDirectory();
      const rest = () => readdirSync(cache).filter((name) => name.startsWith("long"));
      await until(() => rest().length === 0);
      // As long as the script would have gone on.
      await setTimeout(2500);
      expect(existsSync(late)).toBe(false);
      const made = await Effect.runPromise(ensure({ long }));
      expect(existsSync(join(made["long"] ?? "", "made"))).toBe(true);
    },
    120_000,
  );
});

describe("the patches of a stage", () => {
  it("are those of the series that touch its files, in the series' order", () => {
    const write = (name: string, path: string) =>
      writeFileSync(
        join(folder, name),
        `Subject: x\n--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-a\n+b\n`,
      );
    write("1.patch", "tools/libs/a.c");
    write("2.patch", "xen/common/memory.c");
    write("3.patch", "xen/include/public/domctl.h");
    writeFileSync(join(folder, "series"), "2.patch\n# 9.patch\n1.patch # why\n3.patch\n");
    const names = (touches: RegExp) =>
      patches(folder, touches).map((file) => file.slice(folder.length + 1));
    expect(names(/^xen\//)).toEqual(["2.patch", "3.patch"]);
    expect(names(/^(tools\/|xen\/include\/public\/)/)).toEqual(["1.patch", "3.patch"]);
    expect(patches(join(folder, "none"), /./)).toEqual([]);
  });
});

describe("the guests' kernel", () => {
  it("is Debian's where nothing is said", () => {
    expect(kernelOf({ xen: "release" }).name).toBe("linux");
  });

  it("has its checks for debugging on top of what every guest needs", () => {
    const configs = (kernel: "patched" | "debug") =>
      kernelOf({ xen: "release", kernel })
        .files.map((file) => basename(file))
        .filter((file) => file.endsWith(".config"));
    expect(configs("patched")).toEqual(["guest.config"]);
    expect(configs("debug")).toEqual(["guest.config", "debug.config"]);
  });

  it("can't be patched where there are no patches", () => {
    const check = (kernel: "stock" | "patched" | "debug") =>
      checkFlavour({ xen: "release", kernel }, folder);
    const error = Effect.runSync(Effect.flip(check("patched")));
    expect(error.message).toContain(join(folder, "series"));
    Effect.runSync(check("stock"));
    Effect.runSync(check("debug"));
    writeFileSync(join(folder, "series"), "");
    Effect.runSync(check("patched"));
  });
});
