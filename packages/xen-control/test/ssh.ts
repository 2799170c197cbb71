/** Remotes by ssh: a host that is named, or this machine by an sshd of its own on the loopback. */
import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Remote } from "./remote.ts";

/** Runs commands by `ssh ARGUMENTS COMMAND`, the command after a prefix of its own. */
export const sshRemote = (args: ReadonlyArray<string>, prefix = ""): Remote => ({
  run: (command, stdin) =>
    new Promise((resolve, reject) => {
      const child = spawn("ssh", ["-o", "BatchMode=yes", ...args, prefix + command]);
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
        // What it is about to do is said before it is done.
        process.stderr.write(text);
      });
      child.on("error", reject);
      child.on("close", (status) => {
        resolve({ status: status ?? -1, stdout, stderr });
      });
      // Who does not read it has ended, and says so by its status.
      child.stdin.on("error", () => undefined);
      child.stdin.end(stdin);
    }),
});

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });

/** What sshd wants to be there when root starts it; an init system makes it otherwise. */
const separation = "/run/sshd";

export interface Loopback {
  /** Arguments of `ssh`, the host among them. */
  readonly args: ReadonlyArray<string>;
  readonly stop: () => Promise<void>;
}

/** An sshd for this user and one key, with nothing of the machine's configuration. */
export const startSshd = async (): Promise<Loopback> => {
  const folder = mkdtempSync(join(tmpdir(), "virtflex-sshd-"));
  const made = userInfo().uid === 0 && mkdirSync(separation, { recursive: true }) !== undefined;
  const at = (name: string) => join(folder, name);
  for (const key of ["host", "user"]) {
    await promisify(execFile)("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at(key)]);
  }
  const port = await freePort();
  writeFileSync(
    at("config"),
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${at("host")}`,
      `AuthorizedKeysFile ${at("user")}.pub`,
      "PidFile none",
      "StrictModes no",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "PermitRootLogin prohibit-password",
      "",
    ].join("\n"),
  );
  const daemon = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", at("config")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  daemon.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const ended = new Promise((resolve) => daemon.once("exit", resolve));
  const stop = async () => {
    daemon.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true });
    if (made) rmSync(separation, { recursive: true });
  };
  for (let tries = 0; !log.includes("Server listening"); tries++) {
    if (daemon.exitCode !== null || tries > 500) {
      await stop();
      throw new Error(`sshd did not start: ${log}`);
    }
    await sleep(20);
  }
  const args = [
    ...["-F", "none", "-p", String(port), "-i", at("user"), "-o", "IdentitiesOnly=yes"],
    ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
    ...["-o", "LogLevel=ERROR", `${userInfo().username}@127.0.0.1`],
  ];
  return { args, stop };
};
