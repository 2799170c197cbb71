/**
 * One vnode of a guest out and in, on a real Xen (the lab), full of program data and free, against `xl vcpu-set` and `xl mem-set` of the
 * same size, in the same guest. Under emulation: only the ratios say something.
 */
import { Clocks, sharedLab, Subject } from "@virtflex/lab";
import { Effect, Schema } from "effect";
import { type Figure, report } from "./Report.ts";

const turns = 2;

class BenchFailed extends Schema.TaggedError<BenchFailed>()("BenchFailed", {
  message: Schema.String,
}) {}

const say = (line: string) => Effect.sync(() => void process.stderr.write(`${line}\n`));

/**
 * Shell, in the guest: waits until so many CPUs are online and the domain has so many KiB, then says when. A vCPU that comes Linux leaves
 * offline; to bring it online is a udev rule's part, and is this loop's here.
 */
const awaitShape = (cpus: string, kib: number, above: boolean) => {
  const online = above ? "echo 1 >/sys/devices/system/cpu/cpu3/online; " : "";
  const shaped = `[ "$(</sys/devices/system/cpu/online)" = ${cpus} ] && read -r kb </sys/devices/system/xen_memory/xen_memory0/info/current_kb && [ "$kb" ${above ? "-ge" : "-le"} ${kib} ]`;
  return `until ${online}${shaped}; do read -rt 0.02 <> <(:) || :; done 2>/dev/null; echo "$EPOCHREALTIME"`;
};

const bench = Effect.gen(function* () {
  const lab = yield* sharedLab("change", say);
  const subject = yield* Subject.make(lab, "bench-change");
  const { guest, dom0, name } = subject;
  const bash = (host: typeof guest, command: string) =>
    host
      .exec(["bash", "-c", command], { timeout: "10 minutes" })
      .pipe(
        Effect.flatMap(({ status, stdout, stderr }) =>
          status === 0
            ? Effect.succeed(stdout.toString().trim())
            : new BenchFailed({ message: `${command}: ${stderr.toString()}` }),
        ),
      );
  const current = Effect.map(
    bash(guest, "cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb"),
    Number,
  );
  yield* guest.check(
    "mkdir -p /dev/fd 2>/dev/null; rmdir /dev/fd 2>/dev/null; [ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd",
  );

  /** From the moment when virtflex is called until it has ended, as xl's; and what of that is the change, once it is planned. */
  const ours = Effect.fnUntraced(function* (verb: "shrink" | "expand") {
    const began = Clocks.nowMs();
    const changed = yield* subject.change(verb, "3");
    const ms = Clocks.nowMs() - began;
    if (changed.result !== "done" || changed.elapsedMs === undefined) {
      return yield* new BenchFailed({
        message: `virtflex ${verb}: ${changed.error?.message ?? changed.result}`,
      });
    }
    const times = new Map(
      [...(yield* guest.check("cat /proc/virtflex/status")).matchAll(/^time (\S+) (\d+)$/gm)].map(
        ([, what, ns]) => [what, Number(ns) / 1e6] as const,
      ),
    );
    return { ms, plannedMs: changed.elapsedMs, times };
  });

  /**
   * From the moment when xl is called until the guest has so many KiB. xl counts in MiB, and the stock balloon a little less than
   * it is told: what the guest has not had from its beginning.
   */
  const stock = Effect.fnUntraced(function* (vcpus: number, kib: number, above: boolean) {
    const mib = above ? Math.ceil(kib / 1024) : Math.floor(kib / 1024);
    const clocks = { dom0: yield* Clocks.align(dom0), guest: yield* Clocks.align(guest) };
    const cpus = vcpus === 1 ? "0" : `0-${vcpus - 1}`;
    const [began, ended] = yield* Effect.all(
      [
        bash(
          dom0,
          `echo "$EPOCHREALTIME"; xl vcpu-set ${name} ${vcpus}; xl mem-set ${name} ${mib}m`,
        ),
        bash(guest, awaitShape(cpus, kib, above)),
      ],
      { concurrency: "unbounded" },
    );
    return (
      Number(ended) * 1e3 - clocks.guest.offsetMs - (Number(began) * 1e3 - clocks.dom0.offsetMs)
    );
  });

  const least = new Map<string, number>();
  const note = (what: string, ms: number) =>
    least.set(what, Math.min(least.get(what) ?? Infinity, ms));
  const phases: Array<string> = [];
  const whole = yield* current;
  for (const state of ["free", "full"]) {
    if (state === "full") {
      // Three arrays, first touched by the threads of all nodes: 120 MiB of each.
      yield* guest.check(
        "LD_LIBRARY_PATH=/opt/virtflex/lib OMP_PLACES=threads OMP_PROC_BIND=close OMP_WAIT_POLICY=passive setsid /opt/virtflex/bin/triad --elements 20971520 --repetitions 1000000 >/run/triad.log 2>&1 </dev/null & until grep -q repetition=1 /run/triad.log; do sleep 0.5; done",
        { timeout: "10 minutes" },
      );
    }
    for (let turn = 0; turn < turns; turn++) {
      yield* say(`change: ${state}, turn ${turn + 1} of ${turns}`);
      const shrunk = yield* ours("shrink");
      const freed = whole - (yield* current);
      const grown = yield* ours("expand");
      note(`${state} out, ours`, shrunk.ms);
      note(`${state} in, ours`, grown.ms);
      note(`${state} out, planned`, shrunk.plannedMs);
      note(`${state} in, planned`, grown.plannedMs);
      note(`${state} out, xl`, yield* stock(3, whole - freed, false));
      note(`${state} in, xl`, yield* stock(4, whole, true));
      if (turn === turns - 1) {
        for (const [verb, { times }] of [
          ["out", shrunk],
          ["in", grown],
        ] as const) {
          const from = times.get("taken-up") ?? Number.NaN;
          const row = [...times]
            .slice(1)
            .map(([what, at]) => `${what} ${(at - from).toFixed(0)} ms`);
          phases.push(`  ${state} ${verb}: ${row.join(", ")}`);
        }
      }
    }
  }
  const of = (what: string) => least.get(what) ?? Number.NaN;
  const figures = ["free", "full"].flatMap((state) =>
    ["out", "in"].flatMap((way): ReadonlyArray<Figure> => {
      const baseline = { name: "xl vcpu-set and mem-set", value: of(`${state} ${way}, xl`) };
      const value = (what: string) => of(`${state} ${way}, ${what}`);
      return [
        {
          name: `a ${state} vnode ${way}, least of ${turns}`,
          value: value("ours"),
          unit: "ms",
          baseline,
        },
        {
          name: "… once it was planned",
          value: value("planned"),
          unit: "ms",
          baseline,
        },
      ];
    }),
  );
  yield* report("One vnode of 256 MiB out and in, in the lab", figures);
  if (!process.argv.includes("--json"))
    yield* say(["Since the guest took the request up:", ...phases].join("\n"));
});

await Effect.runPromise(Effect.scoped(bench));
