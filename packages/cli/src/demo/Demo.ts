/**
 * The demonstration: a guest on this machine's CPUs, a program in it that knows
 * nothing of Virtflex, and the guest shrunk to half its vnodes and expanded
 * again meanwhile.
 *
 * A thread of the program counts when it is there and got CPU time in one
 * whole repetition of the benchmark (see Team.ts).
 */
import { apply, Controller, survey } from "@virtflex/pipeline";
import { NumaKeys, plan as planChange, type TopologyChange } from "@virtflex/topo-model";
import { EmbeddedHost, laptopConfig } from "@virtflex/xen-control/embedded";
import * as EmbeddedClient from "@virtflex/xen-control/embedded-client";
import { Effect, Equal, FileSystem, Layer, Schema } from "effect";
import { join } from "node:path";
import { allowedCpus } from "../Machine.ts";
import { topologyPage } from "../Paths.ts";
import { bold, say } from "../Screen.ts";
import { openStation } from "../Station.ts";
import { type CgClass, isRight, type RunningCg, startCg } from "./Cg.ts";
import { makeRecorder, type Recorder } from "./Recorder.ts";
import { teamOf } from "./Team.ts";
import { timelineSvg } from "./Timeline.ts";

/** One change of the demonstration. */
export interface Phase {
  readonly op: "shrink" | "expand";
  readonly result: "done" | "rolled-back";
  /** vnodes in use. */
  readonly vnodesBefore: number;
  readonly vnodesAfter: number;
  /** Threads of the program, from /proc. */
  readonly threadsBefore: number;
  readonly threadsAfter: number;
  /** CPUs that they may run on, from /proc. */
  readonly cpusBefore: string;
  readonly cpusAfter: string;
  /** From the request to the program's acknowledgement; null if there was none. */
  readonly adaptedMs: number | null;
  /** From the first step to the last. */
  readonly elapsedMs: number;
  /** Why it was rolled back. */
  readonly reason?: string;
}

export interface DemoResult {
  readonly result: "done" | "failed";
  /** Whether each of the program's results is the published one. */
  readonly verified: boolean;
  readonly repetitions: number;
  readonly phases: ReadonlyArray<Phase>;
  /** Where the timeline was written. */
  readonly timeline: string;
}

/** This machine can't show it. */
export class DemoImpossible extends Schema.TaggedError<DemoImpossible>()("DemoImpossible", {
  detail: Schema.String,
}) {
  readonly code = "DEMO_IMPOSSIBLE";
  override get message(): string {
    return `The demonstration is not possible here: ${this.detail}`;
  }
}

const look = Effect.fnUntraced(function* (cg: RunningCg) {
  const { topology, guests } = yield* survey;
  const vnodes = topology.guests.flatMap((guest) => guest.vnodes);
  const online = vnodes.filter(({ desired }) => desired === "online");
  const generation = guests[0]?.report.generation;
  return { topology, generation, vnodes: online.length, ...(yield* teamOf(cg)) };
});

interface Scene {
  readonly cg: RunningCg;
  readonly recorder: Recorder;
}

/** Makes a change while the program runs; one that is rolled back is an outcome, too. */
const perform = Effect.fnUntraced(function* (
  { cg, recorder }: Scene,
  change: Extract<TopologyChange, { _tag: "shrink" | "expand" }>,
  limits: { readonly deadline: number; readonly grace: number },
) {
  const before = yield* look(cg);
  const { host, guests } = before.topology;
  const plan = yield* Effect.fromResult(planChange(host, guests, change));
  yield* say(bold(`${change._tag} vnodes ${NumaKeys.printCpuList(change.vnodes)}`));
  const { onProgress, end } = yield* recorder.startPhase(change._tag, before.generation);
  const failure = yield* apply(plan, { ...limits, onProgress }).pipe(
    Effect.as(undefined),
    Effect.catchTag("ChangeFailed", (error) =>
      error.rolledBack ? Effect.succeed(error) : Effect.fail(error),
    ),
  );
  const result = failure === undefined ? "done" : "rolled-back";
  const times = yield* end(result);
  const after = yield* look(cg);
  const phase: Phase = {
    op: change._tag,
    result,
    vnodesBefore: before.vnodes,
    vnodesAfter: after.vnodes,
    threadsBefore: before.threads,
    threadsAfter: after.threads,
    cpusBefore: before.cpus,
    cpusAfter: after.cpus,
    ...times,
    ...(failure === undefined ? {} : { reason: failure.message }),
  };
  return { phase, unchanged: Equal.equals(before.topology, after.topology) };
});

/** Whether the program's threads went where the phase was to make them go. */
const followed = ({ op, threadsBefore, threadsAfter, adaptedMs }: Phase): boolean =>
  adaptedMs !== null &&
  (op === "shrink" ? threadsAfter < threadsBefore : threadsAfter > threadsBefore);

const usual = { deadline: 60_000, grace: 5000 };
const impatient = { deadline: 1500, grace: 500 };

/** Shrinks a guest that runs no instruction any more: it is undone, and nothing has changed. */
const performWithSilentGuest = Effect.fnUntraced(function* (
  scene: Scene,
  change: Extract<TopologyChange, { _tag: "shrink" }>,
) {
  const host = yield* EmbeddedHost;
  yield* say(bold(`The guest is paused: it answers nobody`));
  return yield* Effect.acquireUseRelease(
    host.pause(change.domain),
    () => perform(scene, change, impatient),
    () => Effect.ignore(host.unpause(change.domain)),
  );
});

/**
 * Runs the demonstration. The processes that it starts end with it, and with
 * the process that runs it.
 */
export const demonstrate = Effect.fn("demonstrate")(function* (options: {
  readonly size: CgClass;
  readonly faults: boolean;
  /** File to write the timeline to. */
  readonly timeline: string;
}) {
  const fs = yield* FileSystem.FileSystem;
  const cpus = yield* allowedCpus;
  if (cpus.length < 2) {
    return yield* new DemoImpossible({ detail: "it takes two CPUs, and this process may use one" });
  }
  const config = laptopConfig(cpus);
  const socket = join(yield* fs.makeTempDirectoryScoped({ prefix: "virtflex-demo-" }), "sock");
  yield* say("Starting an embedded host and its guest");
  yield* openStation(config, socket);
  const [guest] = config.guests;
  if (guest === undefined) return yield* Effect.die("the laptop has a guest");
  const { domain, vnodes } = guest;
  yield* say(
    `${vnodes.length} vnodes with the CPUs ${NumaKeys.printCpuList(cpus)}; CG runs, class ${options.size}`,
  );

  const cg = yield* startCg(options.size, topologyPage(socket, domain));
  const ids = vnodes.map(({ id }) => id);
  const recorder = yield* makeRecorder(cg.pid, ids);
  const scene = { cg, recorder };
  const leaving = ids.slice(Math.ceil(ids.length / 2));

  return yield* Effect.gen(function* () {
    const shrink = { _tag: "shrink", domain, vnodes: leaving } as const;
    const shrunk = yield* perform(scene, shrink, usual);
    const expanded = yield* perform(scene, { ...shrink, _tag: "expand" }, usual);
    const faulty = options.faults ? [yield* performWithSilentGuest(scene, shrink)] : [];

    const title = `CG, class ${options.size}, while its guest changes`;
    yield* fs.writeFileString(options.timeline, timelineSvg(yield* recorder.timeline(title)));
    const repetitions = yield* cg.all;
    const verified =
      repetitions.length > 0 && repetitions.every((one) => isRight(options.size, one));
    const good =
      verified &&
      [shrunk, expanded].every(({ phase }) => phase.result === "done" && followed(phase)) &&
      faulty.every(({ phase, unchanged }) => phase.result === "rolled-back" && unchanged);
    return {
      result: good ? "done" : "failed",
      verified,
      repetitions: repetitions.length,
      phases: [shrunk, expanded, ...faulty].map(({ phase }) => phase),
      timeline: options.timeline,
    } satisfies DemoResult;
  }).pipe(Effect.provide(Layer.merge(EmbeddedClient.layer(socket), Controller.layer)));
}, Effect.scoped);
