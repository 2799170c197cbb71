/** The live layer where there is no Xen: it can be built, and says what is missing. */
import { existsSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { DomainId, PnodeId, VcpuId, VnodeId } from "@virtflex/topo-model";
import { Effect, Stream } from "effect";
import { Hypervisor, XenStore, XenUnavailable } from "../src/index.ts";
import * as Live from "../src/live/index.ts";

// Skipped in a domain of Xen: what is tested is how its absence is told.
const here = existsSync("/proc/xen/capabilities");
const withoutXen = here ? test.skip : test;

const domain = DomainId.make(1);

withoutXen("every call says that there is no Xen, and what would help", async () => {
  const outcomes = await Effect.runPromise(
    Effect.gen(function* () {
      const xen = yield* Hypervisor;
      const store = yield* XenStore;
      const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        xen.host,
        xen.domains,
        xen.domain(domain),
        xen.setVcpusOnline(domain, [VcpuId.make(0)], true),
        xen.pinVcpus(domain, [VcpuId.make(0)], []),
        xen.setLimit(domain, 4096),
        xen.reserve(domain, PnodeId.make(0), 4096),
        xen.moveVnode(domain, VnodeId.make(0), PnodeId.make(0)),
        store.read("/"),
        store.write("/x", "1"),
        store.transaction((t) => t.read("/")),
        Stream.runDrain(store.watch("/")),
      ];
      return yield* Effect.forEach(calls, (call) => Effect.flip(call));
    }).pipe(Effect.provide(Live.layer)),
  );
  for (const outcome of outcomes) {
    if (!(outcome instanceof XenUnavailable)) throw new Error(String(outcome));
    expect(outcome.code).toBe("XEN_UNAVAILABLE");
    expect(outcome.missing).toMatch(/no hypervisor answers|xenstored does not answer/);
    expect(outcome.hint).toContain("dom0");
  }
});
