/**
 * The demonstration on a real Xen: dom0's `virtflex` takes two vnodes of a guest away and gives them back while NAS CG runs in it.
 *
 * @since 0.1.0
 */
import { Effect, Stream, SubscriptionRef } from "effect";
import { CommandFailed } from "../LabError.ts";
import type { Lab } from "../Lab.ts";
import * as Cg from "./Cg.ts";
import { align, type Offset } from "./Clocks.ts";
import * as Observer from "./Observer.ts";
import * as Subject from "./Subject.ts";

/** Something that happened in a change. @since 0.1.0 */
export interface Moment {
  readonly what: string;
  /** The tier that says so. */
  readonly by: string;
  /** Milliseconds since the request was written. */
  readonly atMs: number;
  /** `atMs` is right within this much. */
  readonly errorMs: number;
  readonly detail?: string;
}

/** One change of the demonstration. @since 0.1.0 */
export interface Phase {
  readonly op: "shrink" | "expand";
  readonly result: string;
  readonly vnodesBefore: number;
  readonly vnodesAfter: number;
  /** Threads of the program, from the guest's /proc. */
  readonly threadsBefore: number;
  readonly threadsAfter: number;
  /** CPUs that they may run on. */
  readonly cpusBefore: string;
  readonly cpusAfter: string;
  /** From the request to the last runtime's acknowledgement. */
  readonly adaptedMs: number | null;
  readonly elapsedMs: number | null;
  /** Why it was not done. */
  readonly reason?: string;
  readonly timeline: ReadonlyArray<Moment>;
}

/** @since 0.1.0 */
export interface DemoDocument {
  readonly result: "done" | "failed";
  /** Whether each of the program's results is the published one. */
  readonly verified: boolean;
  readonly repetitions: number;
  readonly phases: ReadonlyArray<Phase>;
  /** Whose clock the times are of, and how far the others' may be from it. */
  readonly clock: { readonly of: string; readonly dom0: Offset; readonly guest: Offset };
}

/** What a demonstration shows while it runs. @since 0.1.0 */
export interface View {
  /** A line that stays. */
  readonly say: (line: string) => void;
  /** The guest as it is now. */
  readonly draw: (now: Observer.Observation) => void;
}

const leaving = [2, 3];

/** `Done` of the module's turns, in the order of a change: name in /proc/virtflex/status, words, tier. */
const turns = {
  shrink: [
    ["published", "generation published"],
    ["adapted", "runtimes acknowledged"],
    ["vcpus-off", "vCPUs off"],
    ["pages-left", "pages left"],
    ["memory-out", "memory returned"],
    ["ended", "done in the guest"],
  ],
  expand: [
    ["memory-in", "memory returned"],
    ["vcpus-on", "vCPUs on"],
    ["published", "generation published"],
    ["adapted", "runtimes acknowledged"],
    ["ended", "done in the guest"],
  ],
} as const;

const mib = (bytes: number) =>
  `${bytes < 0 ? "−" : "+"}${(Math.abs(bytes) / 2 ** 20).toFixed(0)} MiB`;

const onlineOf = ({ vnodes }: Observer.Observation) =>
  vnodes.filter(({ state }) => state === "online").length;

const cpusOf = ({ threads }: Observer.Observation) =>
  [...new Set(threads.flatMap(Observer.cpusOf))].sort((a, b) => a - b).join(",");

/** Whether the program's threads are where they should be when a change is over. */
const placed = (op: Phase["op"], now: Observer.Observation) =>
  op === "shrink"
    ? now.threads.length > 0 &&
      now.threads.flatMap(Observer.cpusOf).every((cpu) => !leaving.includes(cpu))
    : now.threads.length >= Subject.vnodes.length &&
      leaving.every((cpu) => now.threads.flatMap(Observer.cpusOf).includes(cpu));

const timesOf = (status: string) =>
  new Map(
    [...status.matchAll(/^time (\S+) (\d+)$/gm)].map(([, name, ns]) => [name, Number(ns) / 1e6]),
  );

/**
 * Runs it on a lab; the guest that it makes is destroyed at the end.
 *
 * @since 0.1.0
 */
export const demonstrate = Effect.fn("Demo.demonstrate")(function* (lab: Lab, view: View) {
  view.say("Starting a guest with 4 vnodes, virtflex.ko and the adapting libgomp");
  const subject = yield* Subject.make(lab, "virtflex-demo");
  const { guest, dom0 } = subject;
  const clocks = { dom0: yield* align(dom0), guest: yield* align(guest) };
  view.say("NAS CG, class S, starts in it");
  const cg = yield* Cg.start(guest);

  const seen: Array<Observer.Observation> = [];
  const latest = yield* SubscriptionRef.make<Observer.Observation | undefined>(undefined);
  yield* guest
    .exec(["bash", "-c", Observer.script, "observer", String(cg.pid)], {
      timeout: "1 hour",
      onStdout: Subject.byLine((line) => {
        const now = Observer.parse(line);
        seen.push(now);
        view.draw(now);
        Effect.runSync(SubscriptionRef.set(latest, now));
      }),
    })
    .pipe(Effect.forkScoped);

  /** Waits until the guest is as it should be. */
  const until = (what: string, good: (now: Observer.Observation) => boolean) =>
    SubscriptionRef.changes(latest).pipe(
      Stream.filter((now) => now !== undefined && good(now)),
      Stream.runHead,
      Effect.flatMap(Effect.fromOption),
      Effect.map((now) => now as Observer.Observation),
      Effect.timeoutOrElse({
        duration: "4 minutes",
        orElse: () =>
          new CommandFailed({
            command: "demo",
            status: 1,
            message: `not within 4 minutes: ${what}`,
          }),
      }),
    );

  const perform = Effect.fnUntraced(function* (op: Phase["op"]) {
    const before = yield* until(
      "a team of 4 threads, or what is left of it",
      ({ threads }) =>
        threads.length >= Subject.vnodes.length - (op === "shrink" ? 0 : leaving.length),
    );
    const mark = seen.length;
    view.say(`${op} vnodes ${leaving.join(",")}`);
    const changed = yield* subject.change(op, leaving.join(","), { onLine: view.say });
    const times = timesOf(yield* guest.check("cat /proc/virtflex/status"));
    const done = changed.result === "done";
    const after = done
      ? yield* until(
          `the threads ${op === "shrink" ? "on the vnodes that stay" : "on all vnodes"}`,
          (now) => placed(op, now),
        )
      : yield* until("a look", () => true);
    if (done) yield* cg.next;

    const { dom0: host, guest: own } = clocks;
    const request = changed.steps?.find(({ tag }) => tag === "request");
    const from = (request?.startedAtMs ?? NaN) - host.offsetMs;
    const moment = (
      what: string,
      by: string,
      atMs: number,
      { offsetMs, errorMs }: Offset,
      resolutionMs = 0,
    ): Moment => ({
      what,
      by,
      atMs: Math.round((atMs - offsetMs - from) * 10) / 10,
      errorMs:
        Math.round((errorMs + resolutionMs + (by === "virtflex" ? 0 : host.errorMs)) * 10) / 10,
    });
    const freed = (changed.freeBytes ?? [])
      .filter(({ before, after }) => Math.abs(after - before) > 2 ** 23)
      .map(({ pnode, before, after }) => `pnode ${String(pnode)} ${mib(after - before)} free`)
      .join(", ");
    const bound = seen.slice(mark).find((now) => placed(op, now));
    const last = changed.steps?.at(-1);
    const moments: ReadonlyArray<Moment> = done
      ? [
          moment("request written", "virtflex", request?.startedAtMs ?? NaN, host),
          ...turns[op].flatMap(([name, what]) => {
            const at = times.get(name);
            if (at === undefined) return [];
            const by = name === "adapted" ? "libgomp, by virtflex.ko" : "virtflex.ko";
            return [moment(what, by, at, own)];
          }),
          ...(bound === undefined
            ? []
            : [
                moment(
                  "last thread bound",
                  "the guest's /proc",
                  bound.atMs,
                  own,
                  bound.atMs - bound.sinceMs,
                ),
              ]),
          ...(last === undefined
            ? []
            : [{ ...moment("change done", "virtflex", last.endedAtMs, host), detail: freed }]),
        ].toSorted((a, b) => a.atMs - b.atMs)
      : [];
    return {
      op,
      result: changed.result,
      vnodesBefore: onlineOf(before),
      vnodesAfter: onlineOf(after),
      threadsBefore: before.threads.length,
      threadsAfter: after.threads.length,
      cpusBefore: cpusOf(before),
      cpusAfter: cpusOf(after),
      adaptedMs: moments.find(({ what }) => what === "runtimes acknowledged")?.atMs ?? null,
      elapsedMs: changed.elapsedMs ?? null,
      ...(changed.error && { reason: changed.error.message }),
      timeline: moments,
    } satisfies Phase;
  });

  const shrunk = yield* perform("shrink");
  const phases = shrunk.result === "done" ? [shrunk, yield* perform("expand")] : [shrunk];
  const zetas = yield* cg.zetas;
  const verified = zetas.length > 0 && zetas.every(Cg.isRight);
  const followed = phases.every(
    ({ op, result, threadsBefore, threadsAfter, adaptedMs }) =>
      result === "done" &&
      adaptedMs !== null &&
      (op === "shrink" ? threadsAfter < threadsBefore : threadsAfter > threadsBefore),
  );
  return {
    result: verified && followed && phases.length === 2 ? "done" : "failed",
    verified,
    repetitions: zetas.length,
    phases,
    clock: { of: "the machine that the lab runs on", ...clocks },
  } satisfies DemoDocument;
});
