/** Moves vnode 0 of domain 1 to pnode 1, and then back; prints both answers, or why there is none. The store is an embedded host's. */
import { DomainId, PnodeId, VnodeId } from "@virtflex/topo-model";
import { Effect } from "effect";
import * as Embedded from "../../src/embedded/index.ts";
import { XenStore } from "../../src/index.ts";
import { makeLiveHypervisor } from "../../src/live/LiveHypervisor.ts";

const domain = DomainId.make(1);

const moved = Effect.gen(function* () {
  const xen = makeLiveHypervisor(yield* XenStore);
  const to = (pnode: number) =>
    xen
      .moveVnode(domain, VnodeId.make(0), PnodeId.make(pnode))
      .pipe(Effect.catchTag("HypervisorError", ({ reason }) => Effect.succeed(reason)));
  const there = yield* to(1);
  const pnode = (yield* xen.domain(domain)).vnuma[0]?.pnode;
  return { there, pnode, back: yield* to(0), nowhere: yield* to(2) };
}).pipe(Effect.provide(Embedded.layer(Embedded.laptopConfig([0, 1]))));

console.log(JSON.stringify(await Effect.runPromise(moved)));
