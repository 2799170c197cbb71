/**
 * A guest of the lab with virtflex.ko in it, and the host's side of contract 1
 * written by hand: one `xenstore-write`, which is one transaction.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "@jest/globals";
import { Effect } from "effect";
import type * as Lab from "../../../tools/lab/src/Lab.ts";
import { onLab } from "../../../tools/lab/src/Testing.ts";

const run = promisify(execFile);
const here = import.meta.dirname;

/** Every vnode of these tests' guest. */
export const capacityKiB = 256 * 1024;
/** What a vnode keeps when it leaves. */
export const lowKiB = 72 * 1024;
export const vnodes = [0, 1, 2, 3];

/** Four vnodes of one vCPU each: small, so that many can be made under emulation. */
const config = (name: string, pnodes: number): string => {
  const distances = vnodes.map((a) => vnodes.map((b) => (a === b ? 10 : 20)).join(","));
  const vnuma = vnodes.map(
    (v) =>
      `["pnode=${String(v % pnodes)}","size=${String(capacityKiB / 1024)}","vcpus=${String(v)}","vdistances=${distances[v] ?? ""}"]`,
  );
  const memory = String((vnodes.length * capacityKiB) / 1024);
  return `name = "${name}"\nmemory = ${memory}\nmaxmem = ${memory}\nvcpus = 4\nvnuma = [ ${vnuma.join(", ")} ]\n`;
};

/** What every guest of the lab finds in its root, built for the kernel that it runs. */
export const modulePath = "/opt/virtflex/lib/virtflex.ko";

/** `load.c`, for a guest or for dom0. */
export const builtLoad = Effect.promise(async () => {
  const folder = await mkdtemp(join(tmpdir(), "virtflex-load-"));
  try {
    const load = join(folder, "load");
    const include = join(here, "..", "..", "..", "native", "abi", "include");
    await run("gcc", ["-O2", "-static", "-Wall", "-I", include, join(here, "load.c"), "-o", load]);
    return await readFile(load);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** A time limit of a test. */
export const minutes = (n: number): number => n * 60_000;

export interface Node {
  readonly target: string | number;
  readonly desired: string;
}

const low: Node = { target: lowKiB, desired: "offline" };
const full: Node = { target: capacityKiB, desired: "online" };

/** The nodes of a request: those in use have all their memory, the others little. */
export const using = (...online: ReadonlyArray<number>): Record<number, Node> =>
  Object.fromEntries(vnodes.map((v) => [v, online.includes(v) ? full : low]));

/** What a file of tests does at its end: its guest goes. */
export const destroy = (name: string) =>
  onLab(function* (lab) {
    yield* lab.dom0.run(`xl destroy ${name}`);
  });

/** A file's guest, made by its first test; every test has the module loaded anew, and all else as it was. */
export const make = Effect.fn("guest.make")(function* (lab: Lab.Lab, name: string) {
  const load = yield* builtLoad;
  if ((yield* lab.dom0.run(`xl domid ${name}`)).status !== 0) {
    yield* lab.createGuest(config(name, lab.status.shape.nodes), "15 minutes");
  }
  const guest = yield* lab.guest(name);
  yield* guest.run("kill -9 $(pidof load); rmmod virtflex");
  const domain = (yield* lab.dom0.check(`xl domid ${name}`)).trim();
  const root = `/local/domain/${domain}`;
  let last = 0;

  const write = (values: Record<string, string | number>) => {
    const pairs = Object.entries(values).flatMap(([key, value]) => [
      `${root}/${key}`,
      String(value),
    ]);
    return lab.dom0.exec(["xenstore-write", "--", ...pairs]).pipe(
      Effect.map(({ status, stderr }) => {
        expect([status, stderr.toString()]).toEqual([0, ""]);
      }),
    );
  };

  const keys = (nodes: Record<number, Node>) =>
    Object.fromEntries(
      Object.entries(nodes).flatMap(([v, { target, desired }]) => [
        [`numa/node/${v}/target`, target],
        [`numa/node/${v}/desired`, desired],
      ]),
    );

  /** Writes a request and does not wait; its id. */
  const begin = (op: string, nodes: Record<number, Node>, deadlineMs = 600_000) => {
    last += 1;
    const id = last;
    const request = `${String(id)} ${op} ${String(deadlineMs)}`;
    return Effect.as(write({ ...keys(nodes), "numa/request": request }), id);
  };

  /** Waits for the last answer to a request: `done`, `cancelled` or `failed CODE`. */
  const answer = (id: number) =>
    lab.dom0
      .check(
        `until xenstore-read ${root}/numa/status/state | ` +
          `grep -xE '${String(id)} (done|cancelled|failed [a-z-]+)'; do sleep 0.2; done`,
        { timeout: "20 minutes" },
      )
      .pipe(Effect.map((text) => text.trim().slice(text.indexOf(" ") + 1)));

  /** In dom0's shell: waits until a request is in a state, of which many are short; `*` is any. */
  const until = (id: number, state: string) =>
    `for i in $(seq 3000); do now=$(xenstore-read ${root}/numa/status/state); ` +
    `case $now in "${String(id)} "${state}) break ;; esac; done; ` +
    `case $now in "${String(id)} "${state}) ;; *) echo "$now" >&2; exit 1 ;; esac`;
  const reach = (id: number, state: string) => lab.dom0.check(until(id, state));
  /** Cancels a request once it is in a state; its answer. */
  const cancelIn = (id: number, state: string) =>
    Effect.andThen(
      lab.dom0.check(
        `${until(id, state)}; xenstore-write ${root}/numa/request '${String(id)} cancel 60000'`,
      ),
      answer(id),
    );

  const ask = (op: string, nodes: Record<number, Node>, deadlineMs?: number) =>
    Effect.flatMap(begin(op, nodes, deadlineMs), answer);

  /** A fact of /proc/virtflex/status. */
  const status = Effect.fnUntraced(function* (name: string) {
    const text = yield* guest.check("cat /proc/virtflex/status");
    return new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1] ?? "";
  });

  /** KiB of the domain as Xen counts it, rounded by xl to MiB. */
  const xenMiB = Effect.map(lab.dom0.check(`xl list ${name}`), (text) =>
    Number(text.trim().split("\n")[1]?.trim().split(/ +/)[2]),
  );
  /** MemTotal of the guest, and of each node of it: read at a time at which nobody changes them. */
  const memory = guest
    .check("grep -h MemTotal /proc/meminfo /sys/devices/system/node/node*/meminfo")
    .pipe(
      Effect.map((text) => {
        const [memTotalKiB = 0, ...nodesKiB] = [...text.matchAll(/(\d+) kB/g)].map((match) =>
          Number(match[1]),
        );
        return { memTotalKiB, nodesKiB };
      }),
      Effect.repeat({
        times: 100,
        until: ({ memTotalKiB, nodesKiB }) =>
          nodesKiB.reduce((sum, kib) => sum + kib, 0) === memTotalKiB,
      }),
      Effect.tap(({ memTotalKiB, nodesKiB }) =>
        Effect.sync(() => expect(nodesKiB.reduce((sum, kib) => sum + kib, 0)).toBe(memTotalKiB)),
      ),
    );
  const cpus = Effect.map(guest.check("cat /sys/devices/system/cpu/online"), (text) => text.trim());

  /** Everything that must be as it was, whatever happened in between. */
  const totals = Effect.all({ xenMiB, memory, cpus });

  /** Pages of the domain on each pnode, as Xen counts them. */
  const pnodePages = Effect.gen(function* () {
    const dump = Effect.map(lab.dom0.check("xl dmesg"), (text) =>
      text.split("'u' pressed").slice(-1),
    );
    const [old = ""] = yield* dump;
    yield* lab.dom0.check("xl debug-keys u");
    const block = new RegExp(`Domain ${domain} \\(total: \\d+\\):\\n((?:.*Node \\d+: \\d+\\n)+)`);
    const text = yield* dump.pipe(
      Effect.map(([text = ""]) => (text.startsWith(old.slice(0, 60)) ? "" : text)),
      Effect.tap((text) => (block.test(text) ? Effect.void : Effect.sleep("300 millis"))),
      Effect.repeat({ until: (text) => block.test(text) }),
    );
    return [...(block.exec(text)?.[1] ?? "").matchAll(/: (\d+)/g)].map((match) => Number(match[1]));
  });

  /** That the nodes which don't stay have left: their memory is gone from their pnodes, and in superpages. */
  const expectLeft = Effect.fnUntraced(function* (
    stay: ReadonlyArray<number>,
    pagesBefore: ReadonlyArray<number>,
  ) {
    const pages = yield* pnodePages;
    const text = yield* guest.check("cat /proc/virtflex/status");
    for (const v of vnodes) {
      const outKiB = stay.includes(v) ? 0 : capacityKiB - lowKiB;
      const goneKiB = ((pagesBefore[v] ?? 0) - (pages[v] ?? 0)) * 4;
      expect(Math.abs(goneKiB - outKiB)).toBeLessThanOrEqual(2048);
      const node = new RegExp(`^node ${String(v)} .*`, "m").exec(text)?.[0] ?? "";
      expect(node).toMatch(stay.includes(v) ? / online / : / offline /);
      // All but what is less than a superpage, or nearly.
      const supers = Number(/supers (\d+)/.exec(node)?.[1]);
      expect(supers * 2048).toBeGreaterThanOrEqual(outKiB * 0.8);
    }
  });

  /** A debug kernel's lock checker ends with its first complaint, which may be older than the module. */
  const lockChecker =
    "grep -qs 'debug_locks: *0' /proc/lockdep_stats && echo '<4>lockdep has stopped'; true";
  /** Messages of the kernel above info since the module was loaded. */
  const complaints = Effect.map(guest.check(`dmesg -r; ${lockChecker}`), (text) =>
    text
      .split("\n")
      .filter((line) => Number(/^<(\d+)>/.exec(line)?.[1]) % 8 <= 4)
      // What the stock kernel says of any unsigned module, and of any vCPU that comes online.
      .filter((line) => !/taints kernel|verification failed|spinlock event irq/.test(line))
      // Emulation: an interrupt may take long, or a vCPU wait long for its turn.
      .filter((line) => !/hrtimer: interrupt took|RT throttling activated/.test(line)),
  );

  /** Starts `load ARGUMENTS`, by another command if need be, and waits until it is ready; the log's name. */
  const start = Effect.fnUntraced(function* (argumentsText: string, by = "") {
    const log = `/tmp/load-${argumentsText.replace(/[^a-z0-9]+/g, "-").slice(0, 40)}`;
    yield* guest.check(
      `setsid ${by} /root/load ${argumentsText} >${log} 2>&1 </dev/null & echo $! >${log}.pid; ` +
        `for i in $(seq 600); do grep -q ready ${log} && exit 0; sleep 0.2; done; exit 1`,
    );
    return log;
  });

  /** Ends a load; what it wrote: "ready" alone, if all went well. */
  const stop = (log: string) =>
    guest.check(`kill $(cat ${log}.pid) 2>/dev/null && cat ${log} || echo "died: $(cat ${log})"`);

  const option = (name: string, value: string) =>
    guest.check(`echo ${value} >/sys/module/virtflex/parameters/${name}`);

  /** For how much of a deadline the module waits for runtimes. */
  const waitForRuntimes = (percent: number) => option("ack_percent", String(percent));

  const load_ = guest.check(`insmod ${modulePath}`);

  yield* guest.push(load, "/root/load", "755");
  yield* write({
    "numa/version": 1,
    ...Object.fromEntries(
      vnodes.flatMap((v) => [
        [`numa/node/${String(v)}/pnode`, v % lab.status.shape.nodes],
        [`numa/node/${String(v)}/capacity`, capacityKiB],
        [`numa/node/${String(v)}/vcpus`, v],
      ]),
    ),
    ...keys(using(...vnodes)),
    "numa/request": "",
    "numa/status/state": "",
    "control/feature-virtflex": "",
  });
  yield* lab.dom0.check(
    `xenstore-chmod -r ${root}/numa n0 r${domain} && xenstore-chmod -r ${root}/numa/status n${domain} && ` +
      `xenstore-chmod ${root}/control/feature-virtflex n${domain}`,
  );
  yield* guest.check("dmesg -c >/dev/null");
  yield* load_;

  const expectUnchanged = Effect.fnUntraced(function* (before: Effect.Success<typeof totals>) {
    expect(yield* totals).toEqual(before);
    expect(yield* complaints).toEqual([]);
  });

  return {
    domain,
    root,
    guest,
    dom0: lab.dom0,
    load: load_,
    write,
    begin,
    answer,
    reach,
    cancelIn,
    ask,
    option,
    waitForRuntimes,
    status,
    totals,
    pnodePages,
    complaints,
    start,
    stop,
    expectLeft,
    expectUnchanged,
  };
});
