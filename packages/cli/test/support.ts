/** The built command as a process, and processes by their ids. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../../../", import.meta.url));
const program = join(repository, "packages/cli/build/main.js");
/** Node's usual place, also for those that get a temporary directory of their own. */
const compileCache = join(tmpdir(), "node-compile-cache");
export const fixture = (name: string) =>
  join(repository, `packages/topo-model/fixtures/${name}.json`);

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Resolves when stderr holds the text. */
  readonly says: (text: string) => Promise<void>;
}

/** What a test started and has to be gone after it. */
const started: Array<Started> = [];
const directories: Array<string> = [];

export const cleanUp = async () => {
  for (const { process, ended } of started.splice(0)) {
    process.kill("SIGKILL");
    await ended;
  }
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
};

export const temporaryDirectory = () => {
  const directory = mkdtempSync(join(tmpdir(), "virtflex-test-"));
  directories.push(directory);
  return directory;
};

export const start = (
  command: string,
  args: ReadonlyArray<string>,
  env: NodeJS.ProcessEnv = {},
): Started => {
  const child = spawn(command, args, {
    // Nx sets FORCE_COLOR, about which Node warns on stderr where a test sets NO_COLOR.
    env: {
      ...process.env,
      FORCE_COLOR: undefined,
      VIRTFLEX_EMBEDDED: "",
      NODE_COMPILE_CACHE: compileCache,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  const listeners = new Set<() => void>();
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => {
    stderr += data.toString();
    for (const listener of listeners) listener();
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (status) => {
      resolve({ status, stdout, stderr });
    });
  });
  const says = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!stderr.includes(text)) return;
        listeners.delete(look);
        resolve();
      };
      listeners.add(look);
      look();
      void ended.then(() => {
        look();
        reject(new Error(`It ended and never said "${text}":\n${stderr}${stdout}`));
      });
    });
  const one = { process: child, pid: child.pid ?? -1, ended, says };
  started.push(one);
  return one;
};

export const virtflex = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
  start(process.execPath, [program, ...args], env);

export const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

/** Children of a process, their children, and so on. */
export const descendants = (pid: number): ReadonlyArray<number> => {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const status = readFileSync(`/proc/${name}/status`, "utf8");
      parents.set(Number(name), Number(/^PPid:\t(\d+)/m.exec(status)?.[1]));
    } catch {
      // It ended meanwhile.
    }
  }
  const own = [...parents].flatMap(([child, parent]) => (parent === pid ? [child] : []));
  return own.flatMap((child) => [child, ...descendants(child)]);
};

/** Waits, for ten seconds at most, until it is so. */
export const until = async (what: string, holds: () => boolean | Promise<boolean>) => {
  for (let tries = 0; tries < 200; tries++) {
    if (await holds()) return;
    await sleep(50);
  }
  throw new Error(`Not so after 10 seconds: ${what}`);
};

/** An embedded host with its guest, served on a socket of the test's own. */
export const serveEmbedded = async () => {
  const socket = join(temporaryDirectory(), "sock");
  const server = virtflex(["embedded", "serve", "--socket", socket]);
  await server.says("Serving on");
  return { socket, server };
};
