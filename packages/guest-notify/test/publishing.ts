/** Publishes its argument without end, for a test that kills it. */
import { Effect } from "effect";
import { PagePublisher } from "../src/index.ts";
import { pageOf } from "./page.ts";

await Effect.runPromise(
  Effect.gen(function* () {
    const publisher = yield* PagePublisher;
    for (let memory = 0; ; memory = (memory + 1) % 1000) {
      yield* publisher.publish(pageOf(memory % 2 === 0, memory));
    }
  }).pipe(Effect.provide(PagePublisher.layer(process.argv[2] ?? ""))),
);
