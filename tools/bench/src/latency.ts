/**
 * How long a program takes to follow: from the moment when a change is written
 * for the guest until the host reads that the program has adapted, on an embedded
 * host with the guest side and the program in processes of their own. The
 * baseline is what the way there and back costs by itself: one value written to
 * the store and answered by another process.
 */
import * as NodeServices from "@effect/platform-node/NodeServices";
import { OmpProgram } from "@virtflex/omp-runtime-shim";
import { apply, Controller, type OnProgress, survey } from "@virtflex/pipeline";
import { DomainId, plan, VnodeId } from "@virtflex/topo-model";
import { XenStore } from "@virtflex/xen-control";
import { EmbeddedGuest } from "@virtflex/xen-control/embedded";
import * as EmbeddedClient from "@virtflex/xen-control/embedded-client";
import { Clock, Effect, Layer, Option, Stream } from "effect";
import { join } from "node:path";
import { serve } from "./Embedded.ts";
import { scratch } from "./Program.ts";
import { type Figure, report } from "./Report.ts";

const root = join(import.meta.dirname, "../../..");
const turns = 30;
const domain = DomainId.make(1);
const vnodes = [VnodeId.make(1)];

const since = (began: bigint) =>
  Effect.map(Clock.monotonicTimeNanos, (now) => Number(now - began) / 1e6);

/** The guest's end of the exchange: says what it is told. */
const answer = Effect.gen(function* () {
  const { store } = yield* EmbeddedGuest;
  yield* store.watch("data/ping").pipe(
    Stream.mapEffect(() => Effect.option(store.read("data/ping"))),
    Stream.filter(Option.isSome),
    Stream.runForEach(({ value }) => store.write("data/pong", value)),
  );
}).pipe(Effect.orDie);

/** Milliseconds of one exchange: dom0 writes, the guest's kernel answers. */
const exchange = Effect.gen(function* () {
  const store = yield* XenStore;
  const data = `/local/domain/${domain}/data`;
  const began = yield* Clock.monotonicTimeNanos;
  yield* store.write(`${data}/ping`, String(began));
  yield* store.watch(`${data}/pong`).pipe(
    Stream.mapEffect(() => Effect.option(store.read(`${data}/pong`))),
    Stream.takeUntil((answered) => Option.contains(answered, String(began))),
    Stream.runDrain,
  );
  return yield* since(began);
});

/** Milliseconds from the request of a change to the program's acknowledgement. */
const adaptation = Effect.fnUntraced(function* (verb: "expand" | "shrink") {
  const { topology, guests } = yield* survey;
  let known = guests[0]?.report.generation;
  let requested = 0n;
  let adaptedMs = Number.NaN;
  const onProgress: OnProgress = Effect.fnUntraced(function* (progress) {
    if (progress._tag === "StepStarted" && progress.step._tag === "request") {
      requested = yield* Clock.monotonicTimeNanos;
    }
    if (progress._tag !== "StepProgress" || progress.generation === known) return;
    const { runtimes } = progress;
    if (runtimes === undefined || runtimes.known === 0 || runtimes.adapted < runtimes.known) return;
    known = progress.generation;
    adaptedMs = yield* since(requested);
  });
  const change = { _tag: verb, domain, vnodes };
  const steps = yield* Effect.fromResult(plan(topology.host, topology.guests, change));
  yield* apply(steps, { deadline: "30 seconds", onProgress });
  return adaptedMs;
});

/** Least and median of what was measured. */
const figuresOf = (name: string, measured: ReadonlyArray<number>, baseline: number) => {
  const sorted = [...measured].sort((a, b) => a - b);
  const figure = (what: string, value = Number.NaN): Figure => ({
    name: `${name}, ${what} of ${sorted.length}`,
    value,
    unit: "ms",
    baseline: { name: "one exchange through the store", value: baseline },
    aim: "below 5 ms plus one parallel region",
  });
  return [figure("least", sorted[0]), figure("median", sorted[Math.floor(sorted.length / 2)])];
};

const bench = Effect.gen(function* () {
  const directory = yield* scratch;
  const socket = join(directory, "sock");
  yield* serve(socket);
  const { launch } = yield* OmpProgram;
  yield* launch({
    program: join(root, "tools/apps/build/cg"),
    args: ["--class", "S", "--repetitions", "1000000"],
    page: join(directory, `domain-${domain}.topology`),
    env: { OMP_WAIT_POLICY: "passive" },
    stdio: "pipe",
  }).pipe(Effect.tap(({ stdout }) => Effect.forkScoped(Stream.runDrain(stdout))));

  const host = EmbeddedClient.layer(socket);
  const measured = yield* Effect.gen(function* () {
    yield* Effect.forkScoped(Effect.provide(answer, EmbeddedClient.guestLayer(socket, domain)));
    const exchanges: Array<number> = [];
    const shrinks: Array<number> = [];
    const expansions: Array<number> = [];
    for (let turn = 0; turn < turns; turn++) {
      exchanges.push(yield* exchange);
      shrinks.push(yield* adaptation("shrink"));
      expansions.push(yield* adaptation("expand"));
    }
    return { exchanges, shrinks, expansions };
  }).pipe(Effect.provide(Layer.merge(host, Controller.layer)));

  const baseline = Math.min(...measured.exchanges);
  yield* report("From request to acknowledgement, on an embedded host", [
    ...figuresOf("shrink", measured.shrinks, baseline),
    ...figuresOf("expand, memory included", measured.expansions, baseline),
  ]);
}).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(OmpProgram.layer, NodeServices.layer)));

await Effect.runPromise(bench);
