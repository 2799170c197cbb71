/**
 * The placement reset on a real kernel with four nodes, in the lab's guest: programs of `test/` that ask the kernel where each page is while
 * a node leaves and arrives again and again.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import type * as Lab from "../../../tools/lab/src/Lab.ts";
import { onLab } from "../../../tools/lab/src/Testing.ts";
import { runtimes } from "../../../tools/lab/src/whole/Runtime.ts";

const run = promisify(execFile);
const native = join(import.meta.dirname, "..", "..");
const kinds = [
  ...["after fork", "anonymous", "thp", "shared", "shmem", "file-private", "heap", "jemalloc"],
  ...["mlocked", "bound", "preferred", "interleaved", "hugetlb", "stack"],
];

/** A program of `test/` with all of libvirtflex-rt in it. */
const build = (name: string, ...more: Array<string>) =>
  Effect.promise(async () => {
    const runtime = join(native, "runtime");
    const folder = await mkdtemp(join(tmpdir(), "virtflex-reset-"));
    try {
      const program = join(folder, name);
      const sources = (await readdir(join(runtime, "src"))).filter((file) => /\.c$/.test(file));
      await run("gcc", [
        ...["-std=c11", "-D_GNU_SOURCE", "-O2", "-pthread", "-o", program, ...more],
        ...["-I", join(runtime, "include"), "-I", join(runtime, "src")],
        ...["-I", join(native, "abi", "include"), join(runtime, "test", `${name}.c`)],
        ...sources.map((file) => join(runtime, "src", file)),
      ]);
      return await readFile(program);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

/** Debian's libjemalloc. */
const jemalloc = Effect.promise(async () => {
  const folder = await mkdtemp(join(tmpdir(), "virtflex-jemalloc-"));
  try {
    const script = "apt-get download libjemalloc2 && dpkg-deb -x libjemalloc2_*.deb .";
    await run("sh", ["-c", script], { cwd: folder });
    return await readFile(join(folder, "usr/lib/x86_64-linux-gnu/libjemalloc.so.2"));
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** A library that is loaded late has little of it, and jemalloc wants more. */
const roomForTls = "GLIBC_TUNABLES=glibc.rtld.optional_static_tls=16384";

/** Its page has the number of the system call, and its ioctl moves memory. */
const withModule = (guest: Lab.Host) =>
  Effect.acquireRelease(guest.check("insmod /opt/virtflex/lib/virtflex.ko"), () =>
    Effect.ignore(guest.check("rmmod virtflex")),
  );

const withHugePages = (guest: Lab.Host) =>
  Effect.acquireRelease(guest.check("echo 16 >/proc/sys/vm/nr_hugepages"), () =>
    Effect.ignore(guest.check("echo 0 >/proc/sys/vm/nr_hugepages")),
  );

/** What the kernel's NUMA balancing moves by itself afterwards isn't the reset's doing. */
const withoutBalancing = (guest: Lab.Host) =>
  Effect.acquireRelease(guest.check("echo 0 >/proc/sys/kernel/numa_balancing"), () =>
    Effect.ignore(guest.check("echo 1 >/proc/sys/kernel/numa_balancing")),
  );

describe("the placement reset", () => {
  it.each(["move_pages", "module", "next touch"])(
    "by %s moves every kind of memory off a node that leaves, and deals it when the node is back",
    (way) =>
      onLab(function* (lab) {
        const guest = yield* lab.guest();
        // Only a kernel of ours has the system call (npm run lab -- up --kernel patched): without it the next best way is taken.
        const patched = (yield* guest.check("uname -r")).includes("virtflex");
        const taken = way === "next touch" && !patched ? "module" : way;
        yield* guest.push(yield* build("reset_live"), "/root/reset_live", "755");
        yield* guest.push(yield* jemalloc, "/root/libjemalloc.so.2");
        yield* withModule(guest);
        yield* withoutBalancing(guest);
        yield* withHugePages(guest);
        const { status, stdout } = yield* guest.run(
          `LD_LIBRARY_PATH=/root ${roomForTls} /root/reset_live 10 "${way}"`,
          { timeout: "8 minutes" },
        );
        const [leaves, , ...lines] = stdout.toString().trim().split("\n");
        expect(lines).toEqual(kinds.map((kind) => `${kind} left 10 placed 10 of 10`));
        expect(leaves).toMatch(new RegExp(`^leaves by ${taken}: `));
        expect(status).toBe(taken === way ? 0 : 1);
      })(),
    600_000,
  );

  it.each(["libgomp", "libomp"] as const)(
    "is done by a program on %s before it acknowledges",
    (runtime) =>
      onLab(function* (lab) {
        const guest = yield* lab.guest();
        const fake = join(native, "runtime", "test", "fake.c");
        yield* guest.push(
          yield* build("reset_follow", "-fopenmp", fake),
          "/root/reset_follow",
          "755",
        );
        const { prepare, environment } = runtimes[runtime];
        yield* guest.check(prepare);
        yield* withoutBalancing(guest);
        const { status, stdout } = yield* guest.run(
          `${environment.join(" ")} /root/reset_follow 5; s=$?; rm -rf /tmp/virtflex-rt-*; exit $s`,
          { timeout: "8 minutes" },
        );
        expect(stdout.toString()).toMatch(/^pinned [1-9]\d*, later 0\nleft 5 placed 5 of 5\n$/);
        expect(status).toBe(0);
      })(),
    600_000,
  );
});
