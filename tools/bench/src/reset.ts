/**
 * `bench reset [--mib N]`: memory that leaves a node, by each way of the placement reset and 1 to 4 threads, against one thread that
 * calls move_pages(2), and against a copy of as much: in one guest of one lab (the one that VIRTFLEX_LAB names, or its own), on the
 * kernel with `kernel/patches` and `virtflex.ko`. Without `--mib` it is 1 GiB, for which a lab under emulation is slow.
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Lab, sharedLab } from "@virtflex/lab";
import { Effect } from "effect";
import { numberOption } from "./Arguments.ts";
import { compile, scratch } from "./Program.ts";
import { type Figure, report } from "./Report.ts";

const root = join(import.meta.dirname, "../../..");
const runtime = join(root, "native/runtime");
const vnodes = [0, 1, 2, 3];
const threads = [1, 2, 3, 4];
const mib = numberOption("mib", 1024);
/** Room for the memory, and beside it for the kernel's part of a node. */
const vnodeMib = 2 * Math.ceil(0.625 * mib + 64);
/** The same on each pnode beside what Xen and dom0 have; a node is a multiple of 2 MiB. */
const hostMemory = `${String(Math.max(8192, 4 * vnodeMib + 6144))}M`;

const configuration = (name: string): string => {
  const vnuma = vnodes.map((v) => {
    const distances = vnodes.map((other) => (other === v ? 10 : 20)).join(",");
    return `["pnode=${String(v)}","size=${String(vnodeMib)}","vcpus=${String(v)}","vdistances=${distances}"]`;
  });
  const memory = String(vnodeMib * vnodes.length);
  return `name = "${name}"\nmemory = ${memory}\nmaxmem = ${memory}\nvcpus = ${String(vnodes.length)}\nvnuma = [ ${vnuma.join(", ")} ]\n`;
};

const makeGuest = Effect.fn("makeGuest")(function* (lab: Lab.Lab) {
  const sources = readdirSync(join(runtime, "src")).filter((file) => file.endsWith(".c"));
  const program = yield* compile(yield* scratch, "reset", [
    ...["gcc", "-static", "-pthread", `-I${join(runtime, "include")}`],
    ...sources.map((file) => join(runtime, "src", file)),
  ]);
  const name = yield* Effect.acquireRelease(
    lab.createGuest(configuration("reset"), "10 minutes"),
    (guest) => Effect.ignore(lab.dom0.run(`xl destroy ${guest}`)),
  );
  const guest = yield* lab.guest(name);
  yield* guest.push(readFileSync(program), "/root/reset", "755");
  yield* guest.check(
    "insmod /opt/virtflex/lib/virtflex.ko && echo 0 >/proc/sys/kernel/numa_balancing",
  );
  return guest;
});

/** Nanoseconds by name. */
const measure = Effect.fn("measure")(function* (guest: Lab.Host, pages: "base" | "thp") {
  const text = yield* guest.check(`/root/reset ${String(mib)} ${pages}`, { timeout: "2 hours" });
  const times = new Map(
    text
      .trim()
      .split("\n")
      .map((line) => line.split(" "))
      .map(([name = "", ns]) => [name, Number(ns)]),
  );
  return (name: string) => times.get(name) ?? Number.NaN;
});

const figures = (pages: string, time: (name: string) => number): ReadonlyArray<Figure> => {
  const rate = (name: string) => (mib * 1.048576e6) / (time(name) / 1e3);
  const aGib = (name: string) => (time(name) / 1e6 / mib) * 1024;
  const against = (name: string, what: string, baseline: string, of: string, aim?: string) => ({
    ...{ name: `${pages}, ${what}`, value: rate(name), unit: "MB/s" },
    baseline: { name: baseline, value: rate(of) },
    ...(aim === undefined ? {} : { aim }),
  });
  const one = "one thread's move_pages(2)";
  return [
    {
      ...{ name: `${pages}, next touch, the call`, value: aGib("call-1"), unit: "ms a GiB" },
      ...{ baseline: { name: one, value: aGib("one-1") }, aim: "at most 10 ms a GiB" },
    },
    against("migrate_pages", "migrate_pages(2)", one, "one-1"),
    ...threads.flatMap((count) => {
      const n = String(count);
      const by = `${n} thread${count > 1 ? "s" : ""}`;
      const least = "at least 3 ×";
      const copy = (name: string, what: string) =>
        against(`${name}-${n}`, `${what}, ${by}`, "memcpy", "memcpy", "at least 0.9 ×");
      return [
        against(`next-touch-${n}`, `next touch, ${by}`, one, `one-${n}`),
        against(`module-${n}`, `module, ${by}`, one, `one-${n}`, least),
        against(`move_pages-${n}`, `move_pages, ${by}`, one, `one-${n}`),
        ...(pages === "THP"
          ? [copy("next-touch", "next touch"), copy("move_pages", "move_pages")]
          : []),
      ];
    }),
  ];
};

const bench = Effect.gen(function* () {
  const say = (line: string) => Effect.sync(() => void process.stderr.write(`${line}\n`));
  const lab = yield* sharedLab("reset", say, { kernel: "patched", memory: hostMemory });
  const guest = yield* makeGuest(lab);
  const base = yield* measure(guest, "base");
  const thp = yield* measure(guest, "thp");
  yield* report(`${String(mib)} MiB leave a node`, [
    ...figures("4 KiB", base),
    ...figures("THP", thp),
  ]);
});

await Effect.runPromise(Effect.scoped(bench));
