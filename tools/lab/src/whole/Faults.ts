/**
 * One change of a guest while something goes wrong, and what became of guest, host and program.
 *
 * @since 0.1.0
 */
import { Effect, Schema } from "effect";
import type { Lab } from "../Lab.ts";
import { CommandFailed } from "../LabError.ts";
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
  "program never acknowledges",
  "program without the runtime",
  "module unloaded",
  "pnode filled by another guest",
  "host out of memory",
  "xenstored updated live",
] as const;
export type Fault = (typeof faults)[number];

/** Those that take the memory which an expansion wants. */
const fills: ReadonlySet<Fault> = new Set(["pnode filled by another guest", "host out of memory"]);

/** Those that come at a step of the plan; the others have times of their own. */
const atStep: ReadonlySet<Fault> = new Set<Fault>([
  "controller killed",
  "guest paused past the deadline",
  "guest destroyed",
  "xenstored updated live",
  ...fills,
]);

/** Those that wait, within the guest, for the change to be under way. */
const waits: ReadonlySet<Fault> = new Set(["program killed", "module unloaded"]);

interface Case {
  readonly op: "shrink" | "expand";
  readonly fault: Fault;
  /** The fault comes when so many steps of the plan are begun. */
  readonly step: number;
}

/** What a run of the driver does; all of it follows from its seed. @since 0.1.0 */
export interface Scenario extends Case {
  readonly seed: number;
  /** And so many milliseconds later; this goes for what strikes within the guest, too. */
  readonly delayMs: number;
}

/** @since 0.1.0 */
export interface Outcome extends Scenario {
  /** Whether the fault came before the change was over, and came about. */
  readonly struck: boolean;
  /** Exit status of `virtflex`; 137 where it was killed, -1 where it isn't known. */
  readonly status: number;
  /** What the guest is like afterwards. */
  readonly guest: "before" | "after" | "gone" | "neither";
  /** What `virtflex doctor` found, where it was asked. */
  readonly doctor: string;
  /** What should not be: empty if all is well. */
  readonly wrong: ReadonlyArray<string>;
}

/** Steps of a plan that takes two vnodes, and of one that gives them; and which of them waits for the guest. */
const steps = { shrink: 3, expand: 7 };
const requestStep = { shrink: 1, expand: 5 };

/** Each fault, in each change that it can meet, at each step. @since 0.1.0 */
export const cases: ReadonlyArray<Case> = faults.flatMap((fault) =>
  (fills.has(fault) ? (["expand"] as const) : (["shrink", "expand"] as const)).flatMap((op) =>
    Array.from({ length: atStep.has(fault) ? steps[op] : 1 }, (_, i) => ({
      fault,
      op,
      step: i + 1,
    })),
  ),
);

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

/**
 * Seeds count from 1. As many as there are cases are a round, which has each case once, in an order of its own; from the second round on
 * faults come up to a second late.
 *
 * @throws RangeError of a seed that isn't a whole number from 1 on
 * @since 0.1.0
 */
export const scenarioOf = (seed: number): Scenario => {
  const round = Math.floor((seed - 1) / cases.length);
  const next = generator(round);
  const drawn = cases
    .map((each) => ({ each, delayMs: round === 0 ? 0 : next(1_000), key: next(2 ** 31) }))
    .toSorted((a, b) => a.key - b.key)[(seed - 1) % cases.length];
  if (!(Number.isSafeInteger(seed) && seed > 0 && drawn !== undefined))
    throw new RangeError(`seed ${String(seed)} is not a whole number from 1 on`);
  return { seed, ...drawn.each, delayMs: drawn.delayMs };
};

/** States of a guest that has not ended what it was asked for. */
const underWay = "accepted|evacuating|resizing|settling";

/** What the host has that no domain has: free on each pnode, and promised to a domain. */
interface HostFacts {
  readonly freeMiB: ReadonlyArray<number>;
  readonly claimedMiB: number;
}

const hostFactsOf = Effect.fnUntraced(function* (dom0: Subject.Subject["dom0"]) {
  const info = yield* dom0.check("xl info -n");
  const numa = info.slice(info.indexOf("numa_info"));
  return {
    freeMiB: [...numa.matchAll(/^ +\d+: +\d+ +(\d+) /gm)].map(([, mib]) => Number(mib)),
    claimedMiB: Number(/^outstanding_claims *: *(\d+)$/m.exec(info)?.[1]),
  } satisfies HostFacts;
});

/** A domain's upkeep, its page tables say, may have come from another pnode. */
const upkeepMiB = 8;

const sameHost = (a: HostFacts, b: HostFacts): boolean =>
  a.claimedMiB === b.claimedMiB &&
  a.freeMiB.length === b.freeMiB.length &&
  a.freeMiB.every((mib, pnode) => Math.abs(mib - (b.freeMiB[pnode] ?? NaN)) <= upkeepMiB);

/** What is counted: by Xen, by the guest's Linux, by the module. */
interface Facts {
  readonly host: HostFacts;
  readonly xenMiB: number;
  readonly memTotalKiB: number;
  readonly cpus: string;
  readonly vnodes: string;
}

/** Once the guest has ended what it was asked for, or what it takes back of it. */
const factsOf = Effect.fnUntraced(function* ({ guest, dom0, name }: Subject.Subject) {
  const text = yield* guest.check(
    `while grep -qE '^state (${underWay})' /proc/virtflex/status 2>/dev/null; do sleep 0.2; done
grep MemTotal /proc/meminfo; cat /sys/devices/system/cpu/online; cat /proc/virtflex/status 2>/dev/null || true`,
  );
  const list = yield* dom0.check(`xl list ${name}`);
  return {
    host: yield* hostFactsOf(dom0),
    xenMiB: Number(list.trim().split("\n")[1]?.trim().split(/ +/)[2]),
    memTotalKiB: Number(/MemTotal: +(\d+)/.exec(text)?.[1]),
    cpus: text.split("\n")[1] ?? "",
    vnodes: [...text.matchAll(/^node \d+ vnode \d+ (\S+)/gm)].map(([, state]) => state).join(" "),
  } satisfies Facts;
});

const same = (a: Facts, b: Facts): boolean =>
  sameHost(a.host, b.host) &&
  Math.abs(a.xenMiB - b.xenMiB) <= 2 &&
  Math.abs(a.memTotalKiB - b.memTotalKiB) <= 4096 &&
  a.cpus === b.cpus &&
  (a.vnodes === b.vnodes || a.vnodes === "" || b.vnodes === "");

/** A guest, what the host is like without it, and what it is like with all vnodes and with two, which it has now. */
const prepareGuest = Effect.fnUntraced(function* (lab: Lab, name: string) {
  const without = yield* hostFactsOf(lab.dom0);
  const subject = yield* Subject.make(lab, name);
  const full = yield* factsOf(subject);
  const { result, status, error } = yield* subject.change("shrink", "2,3");
  if (result !== "done") {
    const message = error?.message ?? result;
    return yield* new CommandFailed({ command: "virtflex shrink", status, message });
  }
  return { subject, without, full, half: yield* factsOf(subject) };
});

const startCg = Effect.fnUntraced(function* ({ guest }: Subject.Subject) {
  const cg = yield* Cg.start(guest);
  yield* cg.next;
  return cg;
});

interface Prepared extends Effect.Success<ReturnType<typeof prepareGuest>> {
  readonly cg: Effect.Success<ReturnType<typeof startCg>>;
}

interface Harm {
  /** Shell, in dom0, when the fault is due. */
  readonly harm: string;
  /** The same, when the change is over. */
  readonly after?: string;
}

/** The guest stands still meanwhile, too: once asked, it takes the memory by itself. */
const filled = (name: string, fill: string): Harm => ({
  harm: `xl pause ${name}; (${fill}); filled=$?; xl unpause ${name}; exit $filled`,
  after: Filler.empty,
});

const harmOf = (fault: Fault, name: string): Harm => {
  switch (fault) {
    case "controller killed":
      return { harm: "kill -9 $controller || [ $unowned != 0 ]" };
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
        harm: "xenstore-control live-update -t 60 /usr/sbin/oxenstored",
      };
    default:
      return { harm: ":" };
  }
};

/** Lines of dom0 and guest: the fault came before the change was over; it did not come about. */
const marks = { struck: "harm: done in time", failed: "harm: failed" };

/**
 * Shell, in dom0: a change, and the harm so long after so many of its steps are begun, or after it is over. The watch on the journal fires when it is
 * set, when the journal is made, and then once a step. The controller stands still meanwhile, so that it can't be over first.
 */
const harmed = (change: string, { step, delayMs }: Scenario, { harm, after = ":" }: Harm) =>
  `xenstore-watch -n ${String(step + 2)} /tool/virtflex/change/1/begun >/dev/null & watch=$!
(sh -c 'echo $$ >/run/controller; exec ${change}'; status=$?; kill $watch 2>/dev/null; exit $status) & all=$!
wait $watch
[ ${String(delayMs)} = 0 ] || sleep ${String(delayMs / 1e3)}
read -r controller </run/controller
kill -STOP $controller
xenstore-exists /tool/virtflex/change/1/owner; unowned=$?
(${harm}) >&2 || echo ${marks.failed} >&2
[ $unowned = 0 ] && echo ${marks.struck} >&2
kill -CONT $controller
wait $all; status=$?
(${after}) >&2
exit $status`;

/** Shell, in the guest: `harm`, so long after the module has begun with a change. */
const harmedWithin = ({ delayMs }: Scenario, harm: string) =>
  `(until grep -qE '^state (${underWay})' /proc/virtflex/status; do sleep 0.1; done
sleep ${String(delayMs / 1e3)}
touch /run/harming
(${harm}) && echo ${marks.struck} >/run/harmed || echo ${marks.failed} >/run/harmed
rm /run/harming) >/dev/null 2>&1 & echo $! >/run/beside`;

/** Shell, in the guest: what runs beside CG from before the change on. */
const beside = (command: string) =>
  `${command} >/run/beside.log 2>&1 </dev/null & echo $! >/run/beside`;

/** What is done to guest or program from within, before the change. */
const inside = (scenario: Scenario, pid: number): string | undefined => {
  switch (scenario.fault) {
    case "program stopped":
      return `kill -STOP ${String(pid)}`;
    case "program killed":
      return harmedWithin(scenario, `kill -9 ${String(pid)}`);
    case "program forks":
      return beside(
        "env LD_LIBRARY_PATH=/opt/virtflex/lib OMP_WAIT_POLICY=passive /opt/virtflex/bin/forks --repetitions 1000000",
      );
    case "program never acknowledges":
      return beside("sleep infinity 9<>/proc/virtflex/topology");
    case "program without the runtime":
      return beside(
        "env OMP_WAIT_POLICY=passive /opt/virtflex/bin/cg --class S --repetitions 1000000",
      );
    case "module unloaded":
      return harmedWithin(scenario, "rmmod virtflex && [ ! -e /proc/virtflex ]");
    default:
      return undefined;
  }
};

/**
 * Shell, in the guest, when the change is over: nothing of `inside` goes on, and it says what became of it. What ran beside CG ends by itself
 * only if something in it is wrong.
 */
const insideOver = (fault: Fault, pid: number) => {
  const end = "kill -9 $(cat /run/beside) 2>/dev/null";
  const tell = `${end} || echo "${marks.failed}: $(tail -n 1 /run/beside.log)"`;
  const others = fault === "program stopped" ? ":" : waits.has(fault) ? end : tell;
  return `while [ -e /run/harming ]; do sleep 0.1; done
kill -CONT ${String(pid)} 2>/dev/null
${others}
[ -e /proc/virtflex ] || insmod /opt/virtflex/lib/virtflex.ko || exit
cat /run/harmed 2>/dev/null
rm -f /run/beside /run/harmed /run/beside.log`;
};

/** Of what `virtflex doctor --json` prints. */
const Findings = Schema.fromJsonString(
  Schema.Struct({
    findings: Schema.Array(
      Schema.Struct({ check: Schema.String, status: Schema.String, detail: Schema.String }),
    ),
  }),
);

/** What `virtflex doctor` says of changes that were left behind. */
const doctor = Effect.fnUntraced(function* (
  subject: Subject.Subject,
  options: ReadonlyArray<string>,
) {
  const { stdout } = yield* subject.virtflex(["doctor", "--json", ...options]);
  const { findings } = yield* Schema.decodeUnknownEffect(Findings)(stdout.toString());
  const journal = findings.find(({ check }) => check === "journal");
  return journal ?? { status: "fail", detail: "it said nothing of the journal" };
});

/** The guest is known to be whole (or half, for an expansion) when this begins. */
const perform = Effect.fnUntraced(function* ({ subject, cg }: Prepared, scenario: Scenario) {
  const { name, guest, dom0 } = subject;
  const { fault, op, step } = scenario;
  const within = inside(scenario, cg.pid);
  if (within !== undefined) yield* guest.check(within);
  const unanswered = fault === "guest paused past the deadline" && step <= requestStep[op];
  const { status, stderr } = yield* dom0.run(
    harmed(
      `virtflex ${op} ${name} --vnodes 2,3 --timeout ${unanswered ? "10s" : "120s"}`,
      scenario,
      harmOf(fault, name),
    ),
    { timeout: "10 minutes" },
  );
  const text = stderr.toString();
  const over = within === undefined ? text : yield* guest.check(insideOver(fault, cg.pid));
  if (within !== undefined) yield* subject.ready;
  return {
    status,
    stderr: text,
    struck: (within !== undefined && !waits.has(fault)) || over.includes(marks.struck),
    failed: over.includes(marks.failed) ? over : undefined,
  };
});

/** How a `virtflex` may end that met the fault in time. */
const statuses: Record<Fault, ReadonlyArray<number>> = {
  none: [0],
  "controller killed": [137],
  // 1: it began the request, and what undoes it found it paused, too.
  "guest paused past the deadline": [0, 1, 4],
  "guest destroyed": [0, 4],
  "program killed": [0],
  "program stopped": [0],
  "program forks": [0],
  "program never acknowledges": [0],
  "program without the runtime": [0],
  "module unloaded": [0, 1, 4],
  "pnode filled by another guest": [0, 4],
  "host out of memory": [0, 4],
  "xenstored updated live": [0],
};

/**
 * The same, of one run: what the guest has to answer, it can't while it is paused or gone; what comes after its answer needs no guest. A controller
 * may be killed between its last step and its end.
 */
const mayEnd = ({ fault, op, step, delayMs }: Scenario, struck: boolean): ReadonlyArray<number> => {
  if (!struck) return fault === "controller killed" ? [0, 137] : [0];
  if (fault === "guest paused past the deadline" && step > requestStep[op]) return [0];
  const unanswered = fault === "guest paused past the deadline" || fault === "guest destroyed";
  return unanswered && step <= requestStep[op] && delayMs === 0 ? [4] : statuses[fault];
};

/** Runs one scenario on a guest that is there, and makes it whole or half, as it is needed, before. */
const run = Effect.fn("Faults.run")(function* (prepared: Prepared, scenario: Scenario) {
  const { subject, cg, without, full, half } = prepared;
  const { fault, op } = scenario;
  const [before, after] = op === "shrink" ? [full, half] : [half, full];
  const wrong: Array<string> = [];

  if (!same(yield* factsOf(subject), before)) {
    yield* subject.change(op === "shrink" ? "expand" : "shrink", "2,3");
    if (!same(yield* factsOf(subject), before)) wrong.push("the guest could not be made ready");
  }
  const { status, stderr, struck, failed } = yield* perform(prepared, scenario);
  if (failed !== undefined) wrong.push(`the fault did not come about: ${failed}`);
  if (!mayEnd(scenario, struck).includes(status))
    wrong.push(`ended with status ${String(status)}: ${stderr}`);

  const found = yield* doctor(subject, []);
  const open = found.status === "fail";
  if (open) {
    const repaired = yield* doctor(subject, ["--repair"]);
    if (repaired.status !== "ok") wrong.push(`not repaired: ${repaired.detail}`);
  }

  if (fault === "guest destroyed") {
    const left = yield* subject.dom0.run(
      `xl list ${subject.name} >/dev/null 2>&1 && echo domain; xenstore-ls /tool/virtflex/change 2>/dev/null`,
    );
    const text = left.stdout.toString().trim();
    if (text !== "") wrong.push(`left behind: ${text}`);
    const host = yield* hostFactsOf(subject.dom0);
    if (!sameHost(host, without)) wrong.push(`memory left behind: ${JSON.stringify(host)}`);
    return {
      ...scenario,
      struck,
      status,
      guest: "gone",
      doctor: found.detail,
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
  if (open && guest !== "before") wrong.push("repaired, and not as before");
  if (status === 137 && !open && guest !== "after")
    wrong.push("a killed controller's change was not found by doctor");
  if (status === 0 && fault !== "module unloaded" && guest !== "after")
    wrong.push("done, and not as after");
  if (status === 4 && guest !== "before") wrong.push("rolled back, and not as before");
  if (fault !== "program killed") {
    yield* cg.next.pipe(Effect.catch(({ message }) => Effect.sync(() => wrong.push(message))));
  }
  if (!(yield* cg.zetas).every(Cg.isRight)) wrong.push("the program's result is wrong");
  return {
    ...scenario,
    struck,
    status,
    guest,
    doctor: found.detail,
    wrong,
  } satisfies Outcome;
});

/** Nothing of a run that an error has ended meets the next one. */
const dom0AsBefore = ({ dom0 }: Lab) =>
  Effect.ignore(dom0.run(`${Filler.empty}; virtflex doctor --repair`, { timeout: "5 minutes" }));

/** After these the program is not what it was: it has ended, or follows the page of a module that is gone. */
const endsProgram: ReadonlySet<Fault> = new Set(["program killed", "module unloaded"]);

/** The first of those that begin with what the guest is, or the first. */
const fitting = (scenarios: ReadonlyArray<Scenario>, half: boolean) =>
  scenarios.find(({ op }) => op === (half ? "expand" : "shrink")) ?? scenarios[0];

/**
 * Runs many, each on the guest that the one before left, in an order in which few guests have to be made ready first. After a fault that ends the guest, and
 * after an outcome that is wrong, on a new guest.
 *
 * @since 0.1.0
 */
export const runAll = Effect.fn("Faults.runAll")(function* (
  lab: Lab,
  scenarios: ReadonlyArray<Scenario>,
  report: (outcome: Outcome) => Effect.Effect<void>,
) {
  const outcomes: Array<Outcome> = [];
  const left = new Set(scenarios);
  const onOneGuest = Effect.fnUntraced(function* (name: string) {
    const guest = yield* prepareGuest(lab, name);
    let half = true;
    const onOneProgram = Effect.gen(function* () {
      const prepared = { ...guest, cg: yield* startCg(guest.subject) };
      for (;;) {
        const scenario = fitting([...left], half);
        if (scenario === undefined) return false;
        left.delete(scenario);
        const outcome: Outcome = yield* run(prepared, scenario).pipe(
          Effect.catch(({ message }) =>
            Effect.as(dom0AsBefore(lab), {
              ...scenario,
              struck: true,
              status: -1,
              guest: "neither" as const,
              doctor: "",
              wrong: [message],
            }),
          ),
        );
        outcomes.push(outcome);
        yield* report(outcome);
        if (outcome.guest === "gone" || outcome.wrong.length > 0) return false;
        half = (outcome.op === "shrink") === (outcome.guest === "after");
        if (endsProgram.has(outcome.fault)) return left.size > 0;
      }
    }).pipe(Effect.scoped);
    while (yield* onOneProgram);
  }, Effect.scoped);
  for (let guests = 1; left.size > 0; guests += 1) yield* onOneGuest(`faults-${String(guests)}`);
  return outcomes;
});
