/**
 * What one change of a guest's topology costs in transactions and watches of xenstore on the host's side: on an
 * embedded host, counted between the pipeline and the store. The live layer sets
 * vCPUs online or offline by a transaction of its own, so each such step counts as one.
 */
import * as NodeServices from "@effect/platform-node/NodeServices";
import { apply, Controller, survey } from "@virtflex/pipeline";
import { DomainId, plan, VnodeId } from "@virtflex/topo-model";
import { XenStore } from "@virtflex/xen-control";
import * as EmbeddedClient from "@virtflex/xen-control/embedded-client";
import { Effect, Layer } from "effect";
import { join } from "node:path";
import { serve } from "./Embedded.ts";
import { scratch } from "./Program.ts";
import { report } from "./Report.ts";

const domain = DomainId.make(1);
const vnodes = [VnodeId.make(1)];

const none = { transactions: 0, watches: 0 };
let count = { ...none };

/** The store, and how often it is asked for a transaction or a watch. */
const countingLayer = Layer.effect(
  XenStore,
  Effect.map(XenStore, (store) =>
    XenStore.of({
      ...store,
      transaction: (body) => {
        count.transactions += 1;
        return store.transaction(body);
      },
      watch: (path) => {
        count.watches += 1;
        return store.watch(path);
      },
    }),
  ),
);

const costOf = Effect.fnUntraced(function* (verb: "expand" | "shrink") {
  const { topology } = yield* survey;
  const change = { _tag: verb, domain, vnodes };
  const steps = yield* Effect.fromResult(plan(topology.host, topology.guests, change));
  count = { ...none };
  yield* apply(steps, { deadline: "30 seconds", onProgress: () => Effect.void });
  const ofVcpus = steps.steps.filter(({ _tag }) => _tag === "vcpus").length;
  return { ...count, transactions: count.transactions + ofVcpus };
});

const bench = Effect.gen(function* () {
  const directory = yield* scratch;
  const socket = join(directory, "sock");
  yield* serve(socket);
  const host = EmbeddedClient.layer(socket);
  const costs = yield* Effect.gen(function* () {
    return { shrink: yield* costOf("shrink"), expand: yield* costOf("expand") };
  }).pipe(
    Effect.provide(Layer.mergeAll(host, Layer.provide(countingLayer, host), Controller.layer)),
  );
  yield* report(
    "Xenstore transactions and watches of one change, on the host's side",
    Object.entries(costs).flatMap(([verb, { transactions, watches }]) => {
      const baseline = { name: "the aim", value: 1 };
      const unit = "a change";
      return [
        { name: `${verb}: transactions`, value: transactions, unit, baseline, aim: "one" },
        { name: `${verb}: watches`, value: watches, unit, baseline, aim: "one" },
      ];
    }),
  );
}).pipe(Effect.scoped, Effect.provide(NodeServices.layer));

await Effect.runPromise(bench);
