import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { Duration, Effect, Fiber } from "effect";
import * as Lab from "../src/Lab.ts";
import * as Shape from "../src/Shape.ts";
import { cacheDirectory } from "../src/Stage.ts";

/** A host that nobody waits for: what matters is what stays of it. */
const options = (name: string): Lab.Options => ({
  name,
  shape: Effect.runSync(Shape.make({ nodes: 1, cpus: 1, memory: "2G" })),
  flavour: { xen: "release" },
  accelerator: "auto",
  bootTimeout: Duration.minutes(10),
});

/** `lab up` as a shell starts it: in a process group of its own, which Ctrl-C reaches as a whole. */
const command = (name: string) => {
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, "..", "src", "main.ts"),
      ...["up", "--name", name, "--nodes", "1", "--cpus", "1", "--memory", "2G"],
    ],
    { stdio: ["ignore", "ignore", "pipe"], detached: true },
  );
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return {
    said: (text: string) => said.includes(text),
    signal: (signal: NodeJS.Signals) => process.kill(-(child.pid ?? 0), signal),
    over: () => child.exitCode !== null || child.signalCode !== null,
  };
};

const processesOf = (name: string): ReadonlyArray<number> =>
  execFileSync("ps", ["-eo", "pid,args", "-ww"], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes("qemu-system") && line.includes(`-${name}/`))
    .map((line) => Number.parseInt(line));

const filesOf = (name: string): ReadonlyArray<string> =>
  readdirSync(process.env["XDG_RUNTIME_DIR"] ?? tmpdir()).filter((file) =>
    file.endsWith(`-${name}`),
  );

/** The supervisor holds it for as long as it lives. */
const lockOf = (name: string): ReadonlyArray<string> => {
  const folder = join(cacheDirectory(), "locks");
  return readdirSync(folder)
    .filter((file) => file.endsWith(`-${name}`))
    .filter((file) => spawnSync("flock", ["-n", join(folder, file), "true"]).status !== 0);
};

/** No QEMU, no supervisor, no file. */
const gone = (name: string) =>
  processesOf(name).length + filesOf(name).length + lockOf(name).length === 0;

const eventually = async (good: () => boolean, seconds = 60): Promise<void> => {
  for (let i = 0; i < seconds * 10 && !good(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(good()).toBe(true);
};

const unique = (what: string) => `${what}-${String(process.pid)}`;

/** The parent of a process. */
const parentOf = (pid: number): number =>
  Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${String(pid)}/status`, "utf8"))?.[1]);

describe("nothing stays", () => {
  it("when the scope that owns a lab ends while it boots", async () => {
    const name = unique("scope");
    const fiber = Effect.runFork(Effect.scoped(Lab.up(options(name))));
    await eventually(() => processesOf(name).length > 0);
    await Effect.runPromise(Fiber.interrupt(fiber));
    expect(gone(name)).toBe(true);
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"] as const)(
    "when %s ends the command while the host boots",
    async (signal) => {
      const name = unique("boots");
      const up = command(name);
      await eventually(() => processesOf(name).length > 0);
      up.signal(signal);
      await eventually(() => up.over() && gone(name));
    },
  );

  it.each(["SIGINT", "SIGKILL"] as const)(
    "when %s ends the command while the guest boots",
    async (signal) => {
      const name = unique("guest-boots");
      const up = command(name);
      await eventually(() => up.said("booting guest"), 240);
      up.signal(signal);
      await eventually(() => up.over() && gone(name));
    },
  );

  it("when QEMU crashes, and a command that was running says so; then the name is free", async () => {
    const name = unique("crash");
    await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const lab = yield* Lab.up(options(name));
          const sleeping = yield* Effect.forkChild(
            Effect.flip(lab.dom0.run("echo here; sleep 600")),
          );
          yield* lab.dom0.check("true");
          process.kill(lab.status.qemuPid, "SIGKILL");
          expect((yield* Fiber.join(sleeping))._tag).toBe("ConnectionLost");
          yield* Effect.promise(() => eventually(() => gone(name)));
          expect((yield* Effect.flip(Effect.scoped(Lab.attach(name))))._tag).toBe("NotRunning");
        }),
      ),
    );
    const next = Effect.runFork(Effect.scoped(Lab.up(options(name))));
    await eventually(() => processesOf(name).length > 0);
    await Effect.runPromise(Fiber.interrupt(next));
    expect(gone(name)).toBe(true);
  });

  it("of QEMU when its supervisor is killed", async () => {
    const name = unique("supervisor");
    const fiber = Effect.runFork(Effect.scoped(Lab.up(options(name))));
    await eventually(() => processesOf(name).length > 0);
    const [qemu = 0] = processesOf(name);
    const supervisor = parentOf(qemu);
    expect(readFileSync(`/proc/${String(supervisor)}/cmdline`, "utf8")).toContain("Supervisor");
    process.kill(supervisor, "SIGKILL");
    const exit = await Effect.runPromise(Fiber.await(fiber));
    expect(exit._tag).toBe("Failure");
    await eventually(() => !existsSync(`/proc/${String(qemu)}`) && gone(name));
  });
});

describe("a name", () => {
  it("is taken by one lab at a time", async () => {
    const name = unique("twice");
    const fiber = Effect.runFork(Effect.scoped(Lab.up(options(name))));
    await eventually(() => processesOf(name).length > 0);
    const error = await Effect.runPromise(Effect.flip(Effect.scoped(Lab.up(options(name)))));
    expect(error._tag).toBe("AlreadyRunning");
    expect(processesOf(name)).toHaveLength(1);
    await Effect.runPromise(Fiber.interrupt(fiber));
  });

  it("that no lab has is not found", async () => {
    const attached = Effect.scoped(Lab.attach(unique("nobody")));
    expect((await Effect.runPromise(Effect.flip(attached)))._tag).toBe("NotRunning");
    expect((await Effect.runPromise(Effect.flip(Lab.down(unique("nobody")))))._tag).toBe(
      "NotRunning",
    );
  });

  it("with a slash in it is refused", async () => {
    const up = Effect.scoped(Lab.up(options("../x")));
    expect((await Effect.runPromise(Effect.flip(up)))._tag).toBe("InvalidOption");
  });
});
