/** Asks the live hypervisor for the host and its domains; prints the answer, or why there is none. */
import { Effect } from "effect";
import { Hypervisor } from "../../src/index.ts";
import * as Live from "../../src/live/index.ts";

const asked = Effect.gen(function* () {
  const xen = yield* Hypervisor;
  return { host: yield* xen.host, domains: yield* xen.domains };
}).pipe(
  Effect.catch(({ code, message }) => Effect.succeed({ code, message })),
  Effect.provide(Live.layer),
);

console.log(JSON.stringify(await Effect.runPromise(asked)));
