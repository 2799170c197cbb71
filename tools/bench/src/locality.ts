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
import { Lab, Shape, Subject } from "@virtflex/lab";
import { type Duration, Effect } from "effect";
import { textOption } from "./Arguments.ts";
import { chart } from "./locality/Chart.ts";
import { type App, apps, install, programsOnly } from "./locality/Programs.ts";
import { type Counted, type Run, start } from "./locality/Run.ts";
import { type Figure, report } from "./Report.ts";

const moments = ["after the shrink", "after the expansion"] as const;
const variants = ["Virtflex", "stock", "stock with AutoNUMA"] as const;
type Moment = (typeof moments)[number];
type Who = "fresh start" | (typeof variants)[number];

/** Accesses of the program that are counted. */
const counted = 30e6;

/** Accesses between a change, or the start, and what is counted. */
const toSettle = 15e6;

/** What AutoNUMA gets besides: it looks at a task's memory once a second at most. */
const toBalance = "40 seconds";

const guestName = "locality";
const timeout = "10 minutes";

const bench = Effect.gen(function* () {
  const only = textOption("only");
  const chosen = apps.filter(({ name }) => only === undefined || only === name);
  const say = (line: string) => Effect.sync(() => void process.stderr.write(`${line}\n`));
  const lab = yield* Lab.up({
    name: `locality-${String(process.pid)}`,
    shape: yield* Shape.make({ cpus: 4 }),
    flavour: { xen: "release" },
    accelerator: "tcg",
    // The programs are some hundred times smaller than those that people run; so is the cache.
    meter: ["cache=64K", programsOnly],
    bootTimeout: timeout,
    report: say,
  });
  const { guest, change } = yield* Subject.make(lab, guestName);
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
      `until [ "$(cat /sys/devices/system/cpu/online)" = 0-${String(count - 1)} ]; do ` +
        `for c in /sys/devices/system/cpu/cpu[1-${String(count - 1)}]; do ` +
        `[ "$(cat $c/online)" = 1 ] || echo 1 >$c/online || :; done; sleep 0.2; done 2>/dev/null`,
    );
  });

  const counts = Effect.fnUntraced(function* (run: Run, app: App, who: Who, moment: Moment) {
    yield* run.count(toSettle);
    yield* keep(app, who, moment, yield* run.count(counted));
  });

  const fresh = Effect.fnUntraced(function* (app: App, moment: Moment) {
    const run = yield* start(lab, guest, app, "");
    yield* counts(run, app, "fresh start", moment);
  }, Effect.scoped);

  const stock = Effect.fnUntraced(function* (app: App, who: Who, settle: Duration.Input) {
    const run = yield* start(lab, guest, app, "");
    yield* run.count(toSettle);
    for (const moment of moments) {
      yield* setVcpus(moment === "after the shrink" ? 2 : 4);
      yield* Effect.sleep(settle);
      yield* counts(run, app, who, moment);
    }
  }, Effect.scoped);

  /** All programs follow the same change; each is counted while the others are stopped. */
  const virtflex = Effect.gen(function* () {
    const runs: Array<{ readonly app: App; readonly run: Run }> = [];
    for (const app of chosen) {
      const run = yield* start(lab, guest, app, "LD_LIBRARY_PATH=/opt/virtflex/lib");
      yield* run.count(toSettle);
      yield* run.pause;
      runs.push({ app, run });
    }
    for (const moment of moments) {
      for (const { run } of runs) yield* run.resume;
      const verb = moment === "after the shrink" ? "shrink" : "expand";
      const { result, error } = yield* change(verb, "2,3");
      if (result !== "done") {
        return yield* Effect.die(new Error(`virtflex ${verb}: ${error?.message ?? result}`));
      }
      for (const { run } of runs) yield* run.pause;
      for (const { app, run } of runs) {
        yield* run.resume;
        yield* counts(run, app, "Virtflex", moment);
        yield* run.pause;
      }
    }
  }).pipe(Effect.scoped);

  yield* balancing(false);
  yield* virtflex;
  yield* guest.check("rmmod virtflex");
  for (const app of chosen) {
    yield* fresh(app, "after the expansion");
    yield* stock(app, "stock", 0);
  }
  yield* setVcpus(2);
  for (const app of chosen) yield* fresh(app, "after the shrink");
  yield* setVcpus(4);
  yield* balancing(true);
  for (const app of chosen) yield* stock(app, "stock with AutoNUMA", toBalance);

  const of = (app: App, who: Who, moment: Moment) => {
    const result = results.get(key(app, who, moment));
    if (result === undefined) throw new Error(`not measured: ${key(app, who, moment)}`);
    return result;
  };
  const all = moments.flatMap((moment) => chosen.map((app) => ({ moment, app })));
  const percent = (share: number) => `${(100 * share).toFixed(1)} % remote`;
  const svg = textOption("svg");
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
