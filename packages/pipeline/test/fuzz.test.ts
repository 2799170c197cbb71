/**
 * What guests write, by chance: no value and no path makes a parser throw, a
 * survey fail, or the reading of a request's status stop.
 * $VIRTFLEX_FUZZ_SEED repeats a run.
 */
import { expect, test } from "@jest/globals";
import { NumaKeys, validate } from "@virtflex/topo-model";
import { EmbeddedHost } from "@virtflex/xen-control/embedded";
import { Cause, Effect, Equal, Exit, Result } from "effect";
import { randomInt } from "node:crypto";
import { apply, survey } from "../src/index.ts";
import { key, random, type Random, value } from "./fuzz.ts";
import { domain, hostLayer, runGuest, shrinkPlan } from "./support.ts";

const seed = Number(process.env["VIRTFLEX_FUZZ_SEED"] ?? randomInt(2 ** 31));
console.log(`VIRTFLEX_FUZZ_SEED=${seed}`);

const limit = 300_000;
const parsed = 100_000;
const written = 20_000;
/** Keys that are written between two surveys. */
const turn = 10;

/** Each parser, with the printer whose text it must read as the same. */
const parsers: ReadonlyArray<
  readonly [string, (text: string) => NumaKeys.Parsed<unknown>, ((value: never) => string)?]
> = [
  ["kib", NumaKeys.parseKib, NumaKeys.printKib],
  ["pnode", NumaKeys.parsePnode, NumaKeys.printPnode],
  ["vnode", NumaKeys.parseVnode],
  ["vcpu", NumaKeys.parseVcpu],
  ["desired", NumaKeys.parseDesired],
  ["availability", NumaKeys.parseAvailability, NumaKeys.printAvailability],
  ["generation", NumaKeys.parseGeneration, NumaKeys.printGeneration],
  ["cpu list", NumaKeys.parseCpuList, NumaKeys.printCpuList],
  ["request", NumaKeys.parseRequest, NumaKeys.printRequest],
  ["state", NumaKeys.parseState, NumaKeys.printState],
  ["node status", NumaKeys.parseNodeStatus, NumaKeys.printNodeStatus],
  ["runtimes", NumaKeys.parseRuntimes, NumaKeys.printRuntimes],
];

test(
  `${parsed} values, each through three of the parsers: a value that reads back the same, or an error that is short`,
  () => {
    const r = random(seed);
    let accepted = 0;
    for (let i = 0; i < parsed; i++) {
      const text = value(r, 4096);
      for (const [name, parse, print] of [...parsers, ...parsers].slice(
        i % parsers.length,
        3 + (i % parsers.length),
      )) {
        const result = parse(text);
        if (Result.isSuccess(result)) {
          accepted += 1;
          if (print === undefined) continue;
          const again = parse(print(result.success as never));
          if (!Equal.equals(again, result))
            throw new Error(`${name} reads anew as another: ${text}`);
        } else if (result.failure.message.length > 400) {
          throw new Error(`${name}: its message is ${result.failure.message.length} long`);
        }
      }
    }
    // Damaged, but not beyond all reading: both ways were gone.
    expect(accepted).toBeGreaterThan(parsed / 40);
  },
  limit,
);

/** The guest writes; what its store refuses, malformed paths and foreign keys, it refuses. */
const scribble = (r: Random) =>
  Effect.gen(function* () {
    const { store } = yield* Effect.flatMap(EmbeddedHost, (host) => host.guest(domain));
    const at = key(r);
    yield* r.below(20) === 0
      ? Effect.ignore(store.remove(at))
      : Effect.ignore(store.write(at, value(r, 2048)));
  }).pipe(Effect.scoped);

test(
  `${written} keys written at random: every survey stands, and is a topology that can be`,
  () =>
    Effect.gen(function* () {
      const r = random(seed);
      for (let done = 0; done < written; done += turn) {
        for (let i = 0; i < turn; i++) yield* scribble(r);
        const { topology } = yield* survey;
        expect(Result.isSuccess(validate(topology))).toBe(true);
      }
    }).pipe(Effect.provide(hostLayer), Effect.scoped, Effect.runPromise),
  limit,
);

test(
  "a change ends in its time while the guest scribbles, with success or an error that has a code",
  () =>
    Effect.gen(function* () {
      const r = random(seed);
      const host = yield* EmbeddedHost;
      yield* runGuest(({ request, comply, say }) =>
        Effect.gen(function* () {
          for (let i = 0; i < 500; i++) {
            yield* scribble(r);
            yield* Effect.yieldNow;
          }
          yield* Effect.ignore(Effect.sandbox(comply));
          yield* Effect.ignore(Effect.sandbox(say({ id: request.id, state: "done" })));
        }).pipe(Effect.provideService(EmbeddedHost, host), Effect.orDie),
      );
      const options = { deadline: "5 seconds", onProgress: () => Effect.void } as const;
      const exit = yield* Effect.exit(apply(shrinkPlan, options));
      if (Exit.isFailure(exit)) {
        expect(Cause.hasDies(exit.cause)).toBe(false);
        expect(Cause.squash(exit.cause)).toMatchObject({ code: expect.any(String) as unknown });
      }
      expect((yield* survey).guests).toHaveLength(1);
    }).pipe(Effect.provide(hostLayer), Effect.scoped, Effect.runPromise),
  limit,
);
