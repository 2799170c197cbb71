/**
 * What a guest that writes its `numa/status` without end costs the control of another: how
 * long changes of the other take, on an embedded host. The baseline is
 * the same without the flood; both take turns.
 */
import * as NodeServices from "@effect/platform-node/NodeServices";
import { apply, Controller, survey } from "@virtflex/pipeline";
import { DomainId, plan, printTopology, VnodeId } from "@virtflex/topo-model";
import { laptopConfig } from "@virtflex/xen-control/embedded";
import * as EmbeddedClient from "@virtflex/xen-control/embedded-client";
import { Clock, Effect, FileSystem, Layer, Stream } from "effect";
import { ChildProcess } from "effect/process";
import { join } from "node:path";
import { serve } from "./Embedded.ts";
import { median } from "./Median.ts";
import { scratch } from "./Program.ts";
import { report } from "./Report.ts";

const turns = 30;
const quiet = DomainId.make(1);
const loud = DomainId.make(2);
const vnodes = [VnodeId.make(1)];

/** Two guests of the same shape on one host. */
const topology = () => {
  const { host, guests } = laptopConfig([0, 1]);
  const second = guests.map((guest) => ({ ...guest, domain: loud, name: "loud" }));
  return {
    host: { ...host, pnodes: host.pnodes.map((p) => ({ ...p, freeBytes: 0 })) },
    guests: [...guests, ...second],
  };
};

/** Milliseconds of a shrink and the expansion after it. */
const change = Effect.gen(function* () {
  const began = yield* Clock.monotonicTimeNanos;
  for (const _tag of ["shrink", "expand"] as const) {
    const { host, guests } = (yield* survey).topology;
    const steps = yield* Effect.fromResult(plan(host, guests, { _tag, domain: quiet, vnodes }));
    yield* apply(steps, { deadline: "60 seconds", onProgress: () => Effect.void });
  }
  return Number((yield* Clock.monotonicTimeNanos) - began) / 1e6;
});

/** The flood, which stands still but while `during` runs. */
const startFlood = Effect.fnUntraced(function* (socket: string) {
  const flooder = yield* ChildProcess.make(
    process.execPath,
    [join(import.meta.dirname, "flooder.js"), socket, String(loud)],
    { stdin: "ignore", stderr: "inherit" },
  );
  yield* flooder.stdout.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.takeUntil((line) => line === "flooding"),
    Stream.runDrain,
  );
  const signal = (name: "SIGSTOP" | "SIGCONT") =>
    Effect.sync(() => process.kill(flooder.pid, name));
  yield* signal("SIGSTOP");
  yield* Effect.addFinalizer(() => signal("SIGCONT"));
  return {
    during: <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.acquireUseRelease(
        signal("SIGCONT"),
        () => effect,
        () => signal("SIGSTOP"),
      ),
  };
});

const bench = Effect.gen(function* () {
  const directory = yield* scratch;
  const socket = join(directory, "sock");
  const file = join(directory, "topology.json");
  const fs = yield* FileSystem.FileSystem;
  yield* fs.writeFileString(file, printTopology(topology()));
  yield* serve(socket, "--topology", file);
  const alone: Array<number> = [];
  const flooded: Array<number> = [];
  const flood = yield* startFlood(socket);
  yield* Effect.gen(function* () {
    for (let turn = 0; turn < turns; turn++) {
      alone.push(yield* change);
      flooded.push(yield* flood.during(change));
    }
  }).pipe(Effect.provide(Layer.merge(EmbeddedClient.layer(socket), Controller.layer)));
  const of = (name: string, pick: (values: ReadonlyArray<number>) => number) => ({
    name: `beside a flood, ${name} of ${turns}`,
    value: pick(flooded),
    unit: "ms",
    baseline: { name: "without", value: pick(alone) },
    aim: "at most 1.2 ×",
  });
  yield* report("A shrink and an expansion of one guest while another floods its status", [
    of("least", (values) => Math.min(...values)),
    of("median", median),
  ]);
}).pipe(Effect.scoped, Effect.provide(NodeServices.layer));

await Effect.runPromise(bench);
