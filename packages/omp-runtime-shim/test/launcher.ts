/** Launches its first argument and stays, for a test that kills it. */
import { NodeServices } from "@effect/platform-node";
import { Console, Effect } from "effect";
import { OmpProgram } from "../src/index.ts";

const [program = "", ...args] = process.argv.slice(2);

await Effect.runPromise(
  Effect.gen(function* () {
    const { launch } = yield* OmpProgram;
    const { pid } = yield* launch({ program, args, stdio: "pipe" });
    // As text: a number would be coloured where FORCE_COLOR is set.
    yield* Console.log(String(pid));
    yield* Effect.never;
  }).pipe(Effect.scoped, Effect.provide(OmpProgram.layer), Effect.provide(NodeServices.layer)),
);
