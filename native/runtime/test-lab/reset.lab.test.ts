/**
 * The placement reset on a real kernel with four nodes: `test/reset_live.c` in the lab's guest, which asks the kernel where each page
 * is. Ten times in one process a node leaves and arrives again.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { onLab } from "../../../tools/lab/src/Testing.ts";

const run = promisify(execFile);
const native = join(import.meta.dirname, "..", "..");
const kinds =
  "anonymous thp shared shmem file-private heap mlocked bound preferred interleaved hugetlb stack";

const built = Effect.promise(async () => {
  const runtime = join(native, "runtime");
  const folder = await mkdtemp(join(tmpdir(), "virtflex-reset-"));
  try {
    const program = join(folder, "reset_live");
    const sources = (await readdir(join(runtime, "src"))).filter((name) => /\.c$/.test(name));
    await run("gcc", [
      ...["-std=c11", "-D_GNU_SOURCE", "-O2", "-static", "-pthread", "-o", program],
      ...["-I", join(runtime, "include"), "-I", join(runtime, "src")],
      ...["-I", join(native, "abi", "include"), join(runtime, "test", "reset_live.c")],
      ...sources.map((name) => join(runtime, "src", name)),
    ]);
    return await readFile(program);
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe("the placement reset in user space", () => {
  it(
    "moves every kind of memory off a node that leaves, and deals it when the node is back",
    onLab(function* (lab) {
      const guest = yield* lab.guest();
      yield* guest.push(yield* built, "/root/reset_live", "755");
      // What the kernel's NUMA balancing moves by itself afterwards isn't the reset's doing.
      yield* guest.check(
        "cd /proc/sys && echo 16 >vm/nr_hugepages && echo 0 >kernel/numa_balancing",
      );
      const { status, stdout } = yield* guest.run("/root/reset_live 10", { timeout: "8 minutes" });
      yield* guest.check(
        "cd /proc/sys && echo 0 >vm/nr_hugepages && echo 1 >kernel/numa_balancing",
      );
      const lines = stdout.toString().trim().split("\n").slice(2);
      expect(lines).toEqual(kinds.split(" ").map((kind) => `${kind} left 10 placed 10 of 10`));
      expect(status).toBe(0);
    }),
    600_000,
  );
});
