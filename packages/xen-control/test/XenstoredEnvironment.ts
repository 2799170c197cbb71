/**
 * A Jest environment with Debian's own C xenstored behind it, on a machine without
 * Xen: a preloaded library stands for the hypervisor (native/xen-control/test). The
 * tests reach it by the live layer, through libxenstore, as they would on a host.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TestEnvironment } from "jest-environment-node";

const native = join(import.meta.dirname, "../../../native/xen-control");
const preload = join(native, "build/Release/without_xen.so");

/** Where xenstored is: installed, else unpacked from Debian's package into the cache. */
const findXenstored = (): string =>
  execFileSync(join(native, "test/xenstored.sh"), { encoding: "utf8" }).trim();

export default class XenstoredEnvironment extends TestEnvironment {
  #directory = "";
  #daemon: ChildProcess | undefined;

  override async setup(): Promise<void> {
    await super.setup();
    this.#directory = mkdtempSync(join(tmpdir(), "virtflex-xenstored-"));
    // libxenstore looks there (xs_daemon_socket in tools/libs/store/xs.c).
    const xenstoredSocket = join(this.#directory, "socket");
    process.env["XENSTORED_PATH"] = xenstoredSocket;
    await this.#start();
    const restart = async (): Promise<void> => {
      await this.#stop();
      await this.#start();
    };
    Object.assign(this.global, { restartXenstored: restart, xenstoredSocket });
  }

  override async teardown(): Promise<void> {
    await this.#stop();
    delete process.env["XENSTORED_PATH"];
    rmSync(this.#directory, { recursive: true });
    await super.teardown();
  }

  async #start(): Promise<void> {
    const daemon = spawn(findXenstored(), ["--no-fork", "--internal-db"], {
      env: { ...process.env, LD_PRELOAD: preload, XENSTORED_RUNDIR: this.#directory },
      stdio: ["ignore", "ignore", "inherit"],
    });
    this.#daemon = daemon;
    for (let tries = 0; !existsSync(join(this.#directory, "socket")); tries++) {
      if (daemon.exitCode !== null || tries > 500) throw new Error("xenstored did not start");
      await sleep(20);
    }
  }

  async #stop(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined) return;
    this.#daemon = undefined;
    const ended = new Promise((resolve) => daemon.once("exit", resolve));
    daemon.kill("SIGKILL");
    await ended;
    rmSync(join(this.#directory, "socket"), { force: true });
  }
}
