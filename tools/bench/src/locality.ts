/**
 * What following a change is worth: where the cache misses of a program go after its guest gave two of its four vnodes back, and after it
 * got them again, and what that would cost on NUMA hardware by the meter's model (docs/numa-meter.md). In the lab's guest, with one vCPU a
 * vnode; the baseline is the same program, started fresh on the topology that the change ended with.
 *
 * - Virtflex: patched libgomp, virtflex.ko, `virtflex shrink` and `expand` in dom0.
 * - stock: Debian's libgomp and kernel; the vCPUs of the two vnodes go and come by `xl vcpu-set`. Their memory stays: the stock balloon can't
 *   choose a node, and it would take none of a running program's pages. So stock is given no more trouble than it has.
 * - stock with AutoNUMA: the same with `kernel.numa_balancing`, which is off in all others, and time to settle.
 *
 * All are bound (`OMP_PROC_BIND=true`). THPs are off: the programs are so small that a THP would hold what all threads use.
 *
 * `--svg FILE` writes the picture, `--only NAME` runs one of the programs.
 */
import { writeFileSync } from "node:fs";
import { GuestConfig, Lab, Shape } from "@virtflex/lab";
import { Effect } from "effect";
import { chart } from "./locality/Chart.ts";
import { type App, apps, install, programsOnly } from "./locality/Programs.ts";
import { type Counted, start } from "./locality/Run.ts";
import { type Figure, report } from "./Report.ts";

const moments = ["after the shrink", "after the expansion"] as const;
const variants = ["Virtflex", "stock", "stock with AutoNUMA"] as const;
type Moment = (typeof moments)[number];
type Who = "fresh start" | (typeof variants)[number];

/** Accesses of the program that are counted. */
const counted = 10e6;

/** Accesses between a change, or the start, and what is counted; and those that AutoNUMA gets. */
const toSettle = 10e6;
const toBalance = 40e6;

const option = (name: string) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};

const guestName = "locality";
const timeout = "10 minutes";

const bench = Effect.gen(function* () {
  const only = option("--only");
  const chosen = apps.filter(({ name }) => only === undefined || only === name);
  const shape = yield* Shape.make({ cpus: 4 });
  const say = (line: string) => Effect.sync(() => void process.stderr.write(`${line}\n`));
  const lab = yield* Lab.up({
    name: `locality-${String(process.pid)}`,
    shape,
    flavour: { xen: "release" },
    accelerator: "tcg",
    // The programs are some hundred times smaller than those that people run; so is the cache.
    meter: ["cache=64K", programsOnly],
    bootTimeout: timeout,
    report: say,
  });
  // Else dom0's programs, slow as they are under emulation, wait for a guest that is busy on all CPUs.
  yield* lab.dom0.check("xl sched-credit2 -d Domain-0 -w 8192");
  yield* lab.createGuest(GuestConfig.standard(shape, guestName).text, timeout);
  const guest = yield* lab.guest(guestName, timeout);
  yield* install(guest);
  yield* guest.check("echo never >/sys/kernel/mm/transparent_hugepage/enabled");

  const results = new Map<string, Counted>();
  const key = (app: App, who: Who, moment: Moment) => `${app.name} ${who} ${moment}`;
  const keep = (app: App, who: Who, moment: Moment, result: Counted) => {
    results.set(key(app, who, moment), result);
    return say(
      `${app.name}, ${who}, ${moment}: ${result.nsPerAccess.toFixed(2)} ns an access, ${(100 * result.remoteShare).toFixed(1)} % remote, ` +
        JSON.stringify(result.misses),
    );
  };

  const balancing = (on: boolean) =>
    guest.check(`echo ${on ? "1" : "0"} >/proc/sys/kernel/numa_balancing`);

  /** As Debian's kernel does it: what udev does for a vCPU that comes is done here. */
  const setVcpus = Effect.fn("setVcpus")(function* (count: number) {
    yield* lab.dom0.check(`xl vcpu-set ${guestName} ${String(count)}`);
    yield* guest.check(
      `until [ $(nproc --all) -ge 1 ] && [ "$(cat /sys/devices/system/cpu/online)" = 0-${String(count - 1)} ]; do ` +
        `for c in /sys/devices/system/cpu/cpu[1-${String(count - 1)}]; do ` +
        `[ "$(cat $c/online)" = 1 ] || echo 1 >$c/online || :; done; sleep 0.2; done 2>/dev/null`,
    );
  });

  const stock = (app: App, who: "stock" | "stock with AutoNUMA", settle: number) =>
    Effect.scoped(
      Effect.gen(function* () {
        const run = yield* start(lab, guest, app, "");
        yield* run.count(toSettle);
        if (who === "stock") {
          yield* keep(app, "fresh start", "after the expansion", yield* run.count(counted));
        }
        yield* setVcpus(2);
        yield* run.count(settle);
        yield* keep(app, who, "after the shrink", yield* run.count(counted));
        yield* setVcpus(4);
        yield* run.count(settle);
        yield* keep(app, who, "after the expansion", yield* run.count(counted));
      }),
    );

  /** All programs follow the same change; each is counted while the others are stopped. */
  const virtflex = Effect.scoped(
    Effect.gen(function* () {
      const runs: Array<{ app: App; run: Effect.Success<ReturnType<typeof start>> }> = [];
      for (const app of chosen) {
        const run = yield* start(lab, guest, app, "LD_LIBRARY_PATH=/opt/virtflex/lib");
        yield* run.count(toSettle);
        yield* run.pause;
        runs.push({ app, run });
      }
      const change = Effect.fnUntraced(function* (verb: string, moment: Moment) {
        const command = `virtflex ${verb} ${guestName} --vnodes 2,3 --timeout 300s`;
        for (const { run } of runs) yield* run.resume;
        yield* lab.dom0.check(command, { timeout });
        for (const { run } of runs) yield* run.pause;
        for (const { app, run } of runs) {
          yield* run.resume;
          yield* run.count(toSettle);
          yield* keep(app, "Virtflex", moment, yield* run.count(counted));
          yield* run.pause;
        }
      });
      yield* change("shrink", "after the shrink");
      yield* change("expand", "after the expansion");
    }),
  );

  yield* balancing(false);
  for (const app of chosen) yield* stock(app, "stock", toSettle);
  yield* setVcpus(2);
  for (const app of chosen) {
    yield* Effect.scoped(
      Effect.gen(function* () {
        const run = yield* start(lab, guest, app, "");
        yield* run.count(toSettle);
        yield* keep(app, "fresh start", "after the shrink", yield* run.count(counted));
      }),
    );
  }
  yield* setVcpus(4);
  yield* lab.dom0.check(`virtflex adopt ${guestName}`, { timeout });
  yield* guest.check("insmod /opt/virtflex/lib/virtflex.ko");
  yield* virtflex;
  yield* guest.check("rmmod virtflex");
  yield* balancing(true);
  for (const app of chosen) yield* stock(app, "stock with AutoNUMA", toBalance);

  const of = (app: App, who: Who, moment: Moment) => {
    const result = results.get(key(app, who, moment));
    if (result === undefined) throw new Error(`not measured: ${key(app, who, moment)}`);
    return result;
  };
  const all = moments.flatMap((moment) => chosen.map((app) => ({ moment, app })));
  const percent = (share: number) => `${(100 * share).toFixed(1)} % remote`;
  const svg = option("--svg");
  if (svg !== undefined) {
    const groups = all.map(({ moment, app }) => {
      const ideal = of(app, "fresh start", moment);
      return {
        name: `${app.name}, ${moment} (ideal: ${percent(ideal.remoteShare)})`,
        bars: variants.map((who) => {
          const { nsPerAccess, remoteShare } = of(app, who, moment);
          return { name: who, ratio: nsPerAccess / ideal.nsPerAccess, note: percent(remoteShare) };
        }),
      };
    });
    writeFileSync(svg, chart("Modelled time, as a multiple of a fresh start's", groups));
  }
  yield* report(
    "After a change of the topology: modelled time of an access, and remote share of the misses",
    all.flatMap(({ moment, app }) => {
      const ideal = of(app, "fresh start", moment);
      return variants.flatMap((who): ReadonlyArray<Figure> => {
        const { nsPerAccess, remoteShare } = of(app, who, moment);
        const name = `${app.name}, ${moment}, ${who}`;
        const baseline = { name: "fresh start", value: ideal.nsPerAccess };
        return [
          {
            name,
            value: nsPerAccess,
            unit: "ns",
            baseline,
            ...(who === "Virtflex" ? { aim: "at most 1.03 ×" } : {}),
          },
          {
            name: "  remote",
            value: 100 * remoteShare,
            unit: "%",
            baseline: { name: "fresh start", value: 100 * ideal.remoteShare },
          },
        ];
      });
    }),
  );
});

await Effect.runPromise(Effect.scoped(bench));
