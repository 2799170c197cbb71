/**
 * What one change of a guest's topology costs in transactions and watches of xenstore on the host's side: on an
 * embedded host, counted between the pipeline and the store. What the live hypervisor writes itself
 * (`cpu/<n>/availability`) it writes without either.
 */
import * as NodeServices from "@effect/platform-node/NodeServices";
import { apply, Controller, prepare, survey } from "@virtflex/pipeline";
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

const silent = () => Effect.void;

/** Of all that the command does for it. */
const costOf = Effect.fnUntraced(function* (verb: "expand" | "shrink") {
  count = { ...none };
  yield* prepare(domain, { graceMs: 1_000, deadlineMs: 1_000 }, silent);
  const { topology } = yield* survey;
  const change = { _tag: verb, domain, vnodes };
  const steps = yield* Effect.fromResult(plan(topology.host, topology.guests, change));
  yield* apply(steps, { deadline: "30 seconds", onProgress: silent });
  return count;
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
