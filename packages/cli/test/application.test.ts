/** An application of Debian's that uses OpenMP, as its package brings it: GraphicsMagick, while its guest shrinks and expands. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import {
  cleanUp,
  descendants,
  serveEmbedded,
  temporaryDirectory,
  until,
  virtflex,
} from "./support.ts";

const limit = 240_000;
afterEach(cleanUp, limit);

/** What each of its threads may run on, by the kernel. */
const allowed = (pid: number): ReadonlySet<string> =>
  new Set(
    readdirSync(`/proc/${pid}/task`).map((thread) => {
      const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
      return /^Cpus_allowed_list:\t(.*)$/m.exec(status)?.[1] ?? "";
    }),
  );

test(
  "GraphicsMagick leaves a vnode and comes back, and its picture is the one that it makes alone",
  async () => {
    const { socket } = await serveEmbedded();
    const directory = temporaryDirectory();
    const convert = (file: string) =>
      ["convert", "-size", "500x500", "gradient:red-blue", "-gaussian", "6x2", file] as const;
    const alone = join(directory, "alone.ppm");
    const changed = join(directory, "changed.ppm");
    execFileSync("gm", convert(alone));

    const on = async (...args: ReadonlyArray<string>) => {
      const { status, stdout } = await virtflex([...args, "--json", "--socket", socket]).ended;
      expect(status).toBe(0);
      return JSON.parse(stdout) as unknown;
    };
    const program = ["gm", "benchmark", "-duration", "12", ...convert(changed)];
    const run = ["run", "--domain", "laptop", "--socket", socket, "--", ...program];
    const running = virtflex(run, { OMP_DYNAMIC: "true", OMP_WAIT_POLICY: "passive" });
    const known = async () =>
      ((await on("status", "laptop")) as { readonly runtimes?: { readonly known: number } })
        .runtimes?.known ?? 0;
    await until("it is registered", async () => (await known()) > 0);
    const gm = descendants(running.pid).at(-1) ?? running.pid;
    expect(readFileSync(`/proc/${gm}/comm`, "utf8")).toBe("gm\n");

    expect(await on("shrink", "laptop", "--vnodes", "1")).toMatchObject({ result: "done" });
    expect(await on("status", "laptop")).toMatchObject({ runtimes: { known: 1, adapted: 1 } });
    const few = allowed(gm);
    expect(few.size).toBe(1);
    expect(await on("expand", "laptop", "--vnodes", "1")).toMatchObject({ result: "done" });
    expect(await on("status", "laptop")).toMatchObject({ runtimes: { known: 1, adapted: 1 } });
    expect(allowed(gm)).not.toEqual(few);

    expect((await running.ended).status).toBe(0);
    expect(readFileSync(changed).equals(readFileSync(alone))).toBe(true);
  },
  limit,
);
