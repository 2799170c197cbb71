/**
 * One change of a guest while something goes wrong, and what became of guest, host and program.
 *
 * @since 0.1.0
 */
import { Effect, Exit, Scope } from "effect";
import type { Lab } from "../Lab.ts";
import * as Cg from "./Cg.ts";
import * as Filler from "./Filler.ts";
import * as Subject from "./Subject.ts";

/** What goes wrong. @since 0.1.0 */
export const faults = [
  "none",
  "controller killed",
  "guest paused past the deadline",
  "guest destroyed",
  "program killed",
  "program stopped",
  "program forks",
  "program without the runtime",
  "module unloaded",
  "pnode filled by another guest",
  "host out of memory",
  "xenstored updated live",
] as const;
export type Fault = (typeof faults)[number];

/** Those that take the memory which an expansion wants. */
const fills: ReadonlySet<Fault> = new Set(["pnode filled by another guest", "host out of memory"]);

/** What a run of the driver does; all of it follows from its seed. @since 0.1.0 */
export interface Scenario {
  readonly seed: number;
  readonly op: "shrink" | "expand";
  readonly fault: Fault;
  /** The fault comes when so many steps of the plan are begun. */
  readonly step: number;
}

/** @since 0.1.0 */
export interface Outcome extends Scenario {
  /** Exit status of `virtflex`; 137 where it was killed. */
  readonly status: number;
  /** What the guest is like afterwards. */
  readonly guest: "before" | "after" | "gone" | "neither";
  /** What `virtflex doctor` found, where it was asked. */
  readonly doctor: string;
  /** What should not be: empty if all is well. */
  readonly wrong: ReadonlyArray<string>;
}

/** A small generator of numbers, the same everywhere (mulberry32). */
const generator = (seed: number) => {
  let state = seed >>> 0;
  return (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
};

/** @since 0.1.0 */
export const scenarioOf = (seed: number): Scenario => {
  const next = generator(seed);
  const fault = faults[next(faults.length)] ?? "none";
  const op = fills.has(fault) ? "expand" : next(2) === 0 ? "shrink" : "expand";
  return { seed, op, fault, step: 1 + next(op === "shrink" ? 3 : 6) };
};

/** What is counted: by Xen, by the guest's Linux, by the module. */
interface Facts {
  readonly xenMiB: number;
  readonly memTotalKiB: number;
  readonly cpus: string;
  readonly vnodes: string;
}

const factsOf = Effect.fnUntraced(function* ({ guest, dom0, name }: Subject.Subject) {
  const list = yield* dom0.check(`xl list ${name}`);
  const text = yield* guest.check(
    "grep MemTotal /proc/meminfo; cat /sys/devices/system/cpu/online; cat /proc/virtflex/status 2>/dev/null || true",
  );
  return {
    xenMiB: Number(list.trim().split("\n")[1]?.trim().split(/ +/)[2]),
    memTotalKiB: Number(/MemTotal: +(\d+)/.exec(text)?.[1]),
    cpus: text.split("\n")[1] ?? "",
    vnodes: [...text.matchAll(/^node \d+ vnode \d+ (\S+)/gm)].map(([, state]) => state).join(" "),
  } satisfies Facts;
});

const same = (a: Facts, b: Facts): boolean =>
  Math.abs(a.xenMiB - b.xenMiB) <= 2 &&
  Math.abs(a.memTotalKiB - b.memTotalKiB) <= 4096 &&
  a.cpus === b.cpus &&
  (a.vnodes === b.vnodes || a.vnodes === "" || b.vnodes === "");

/** A guest with CG in it, and what it is like with all vnodes and with two. @since 0.1.0 */
export const prepare = Effect.fn("Faults.prepare")(function* (lab: Lab, name: string) {
  const subject = yield* Subject.make(lab, name);
  const cg = yield* Cg.start(subject.guest);
  yield* cg.next;
  const full = yield* factsOf(subject);
  const shrunk = yield* subject.change("shrink", "2,3");
  const half = yield* factsOf(subject);
  return { lab, subject, cg, full, half, ready: shrunk.result === "done" };
});

export type Prepared = Effect.Success<ReturnType<typeof prepare>>;

interface Harm {
  /** Shell, in dom0, when the fault is due. */
  readonly harm: string;
  /** The same, when the change is over. */
  readonly after?: string;
}

/** The guest stands still while it is filled, so that the change can't be over first. */
const filled = (name: string, fill: string): Harm => ({
  harm: `xl pause ${name}; ${fill}; xl unpause ${name}`,
  after: Filler.empty,
});

const harmOf = (fault: Fault, name: string): Harm => {
  switch (fault) {
    case "controller killed":
      return { harm: "kill -9 $(cat /run/controller)" };
    case "guest paused past the deadline":
      return { harm: `xl pause ${name}`, after: `xl unpause ${name}` };
    case "guest destroyed":
      return { harm: `xl destroy ${name}` };
    case "pnode filled by another guest":
      return filled(name, Filler.fillPnode(2));
    case "host out of memory":
      return filled(name, Filler.fillHost);
    case "xenstored updated live":
      return {
        harm: "xenstore-control live-update /usr/sbin/oxenstored >/run/live-update.log 2>&1",
      };
    default:
      return { harm: ":" };
  }
};

/**
 * Shell, in dom0: a change, and the harm as soon as so many of its steps are begun, or it is over. The watch on the journal fires when it is
 * set, when the journal is made, and then once a step.
 */
const harmed = (change: string, step: number, { harm, after = ":" }: Harm) =>
  `xenstore-watch -n ${String(step + 2)} /tool/virtflex/change/1/begun >/dev/null & watch=$!
(sh -c 'echo $$ >/run/controller; exec ${change}'; status=$?; kill $watch 2>/dev/null; exit $status) & all=$!
wait $watch
(${harm}) >&2
wait $all; status=$?
(${after}) >&2
exit $status`;

/** What is done to guest or program from within, before the change. */
const inside = (fault: Fault, pid: number): string | undefined => {
  switch (fault) {
    case "program stopped":
      return `kill -STOP ${String(pid)}`;
    case "program killed":
      return `(sleep 2; kill -9 ${String(pid)}) >/dev/null 2>&1 &`;
    case "program forks":
      return `for i in 1 2 3 4 5 6; do LD_LIBRARY_PATH=/opt/virtflex/lib OMP_WAIT_POLICY=passive setsid /opt/virtflex/bin/cg --class S >/dev/null 2>&1 </dev/null & sleep 0.5; done`;
    case "program without the runtime":
      return "setsid /opt/virtflex/bin/cg --class S >/dev/null 2>&1 </dev/null &";
    case "module unloaded":
      return `(until grep -qE '^state (evacuating|resizing|settling)' /proc/virtflex/status; do sleep 0.1; done; rmmod virtflex) >/dev/null 2>&1 &`;
    default:
      return undefined;
  }
};

/** The guest is known to be whole (or half, for an expansion) when this begins. */
const perform = Effect.fnUntraced(function* ({ subject, cg }: Prepared, scenario: Scenario) {
  const { name, guest, dom0 } = subject;
  const within = inside(scenario.fault, cg.pid);
  if (within !== undefined) yield* guest.check(within);
  const timeout = scenario.fault === "guest paused past the deadline" ? "20s" : "240s";
  const { status, stderr } = yield* dom0.run(
    harmed(
      `virtflex ${scenario.op} ${name} --vnodes 2,3 --timeout ${timeout}`,
      scenario.step,
      harmOf(scenario.fault, name),
    ),
    { timeout: "10 minutes" },
  );
  if (scenario.fault === "program stopped") yield* guest.run(`kill -CONT ${String(cg.pid)}`);
  if (scenario.fault === "module unloaded") {
    yield* guest.check(
      "for i in $(seq 600); do [ -e /proc/virtflex ] || break; sleep 0.1; done; [ -e /proc/virtflex ] || insmod /opt/virtflex/lib/virtflex.ko",
    );
  }
  return { status, stderr: stderr.toString() };
});

/** Runs one scenario on a guest that is there, whole or half as it is needed. @since 0.1.0 */
export const run = Effect.fn("Faults.run")(function* (prepared: Prepared, scenario: Scenario) {
  const { subject, cg, full, half } = prepared;
  const { fault, op } = scenario;
  const [before, after] = op === "shrink" ? [full, half] : [half, full];
  const wrong: Array<string> = [];

  if (!same(yield* factsOf(subject), before)) {
    yield* subject.change(op === "shrink" ? "expand" : "shrink", "2,3");
    if (!same(yield* factsOf(subject), before)) wrong.push("the guest could not be made ready");
  }
  const right = (yield* cg.zetas).length;
  const { status, stderr } = yield* perform(prepared, scenario);
  const found = yield* subject.virtflex(["doctor", "--json"]);
  const { findings } = JSON.parse(found.stdout.toString()) as {
    readonly findings: ReadonlyArray<{
      readonly check: string;
      readonly status: string;
      readonly detail: string;
    }>;
  };
  const journal = findings.find(({ check }) => check === "journal");
  if (journal?.status === "fail") {
    yield* subject.virtflex(["doctor", "--repair"]);
  } else if (fault === "controller killed" && status === 137) {
    wrong.push("a killed controller's change was not found by doctor");
  }

  if (fault === "guest destroyed") {
    const left = yield* subject.dom0.run(
      `xl list ${subject.name} >/dev/null 2>&1 && echo domain; xenstore-ls /tool/virtflex/change 2>/dev/null`,
    );
    const text = left.stdout.toString().trim();
    if (text !== "") wrong.push(`left behind: ${text}`);
    return {
      ...scenario,
      status,
      guest: "gone",
      doctor: journal?.detail ?? "",
      wrong,
    } satisfies Outcome;
  }

  let now = yield* factsOf(subject);
  if (fault === "module unloaded" && !same(now, before) && !same(now, after)) {
    // A module that goes gives back all that it has; for the host, an expansion by the next one is what is left to do.
    if (!stderr.includes("Not undone")) wrong.push(`said to be as before: ${JSON.stringify(now)}`);
    const whole = yield* subject.change("expand", "2,3");
    if (whole.result !== "done") wrong.push(`stays so: ${whole.error?.message ?? whole.result}`);
    now = yield* factsOf(subject);
  }
  const guest = same(now, before) ? "before" : same(now, after) ? "after" : "neither";
  if (guest === "neither")
    wrong.push(`neither before nor after: ${JSON.stringify(now)}; ${stderr}`);
  if (status === 0 && fault !== "module unloaded" && guest !== "after")
    wrong.push("done, and not as after");
  if (status === 4 && guest !== "before") wrong.push("rolled back, and not as before");
  if (fault !== "program killed") {
    yield* cg.next.pipe(Effect.catch(({ message }) => Effect.sync(() => wrong.push(message))));
    if (!(yield* cg.zetas).slice(right).every(Cg.isRight))
      wrong.push("the program's result is wrong");
  }
  return { ...scenario, status, guest, doctor: journal?.detail ?? "", wrong } satisfies Outcome;
});

/** After these there is no guest, no program or no module as it was. */
const spoils: ReadonlySet<Fault> = new Set([
  "guest destroyed",
  "program killed",
  "module unloaded",
]);

/**
 * Runs many, each on the guest that the one before left; after a fault that ends guest or program, on a new one.
 *
 * @since 0.1.0
 */
export const runAll = Effect.fn("Faults.runAll")(function* (
  lab: Lab,
  scenarios: ReadonlyArray<Scenario>,
  report: (outcome: Outcome) => Effect.Effect<void>,
) {
  const parent = yield* Effect.scope;
  const outcomes: Array<Outcome> = [];
  let scope = yield* Scope.fork(parent);
  let prepared: Prepared | undefined;
  for (const scenario of scenarios) {
    prepared ??= yield* prepare(lab, `faults-${String(scenario.seed)}`).pipe(Scope.provide(scope));
    const outcome = yield* run(prepared, scenario);
    outcomes.push(outcome);
    yield* report(outcome);
    if (outcome.wrong.length > 0 || spoils.has(scenario.fault)) {
      yield* Scope.close(scope, Exit.void);
      scope = yield* Scope.fork(parent);
      prepared = undefined;
    }
  }
  return outcomes;
}, Effect.scoped);
