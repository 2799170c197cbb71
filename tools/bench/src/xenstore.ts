/**
 * Reads a second from Debian's C xenstored (which needs no Xen here) through
 * `@virtflex/xen-control`. The baseline is a plain C program on libxenstore that
 * reads the same key from the same daemon, one at a time; they take turns, and each
 * figure is the most of all turns, as other load can only take away.
 */
import * as NodeServices from "@effect/platform-node/NodeServices";
import { XenStore } from "@virtflex/xen-control";
import * as Live from "@virtflex/xen-control/live";
import { Clock, Effect, FileSystem, Schedule } from "effect";
import { ChildProcess, ChildProcessSpawner } from "effect/process";
import { join } from "node:path";
import { compile, measure, scratch } from "./Program.ts";
import { report } from "./Report.ts";

const turns = 40;
const seconds = 0.1;
const manyAtOnce = 64;
const key = "/bench/key";

const native = join(import.meta.dirname, "../../../native/xen-control");

/** The daemon, with its socket in this directory, until the scope ends. */
const serve = Effect.fnUntraced(function* (directory: string) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner;
  const fs = yield* FileSystem.FileSystem;
  const xenstored = (yield* spawner.string(
    ChildProcess.make(join(native, "test/xenstored.sh"), [], { stderr: "inherit" }),
  )).trim();
  yield* ChildProcess.make(xenstored, ["--no-fork", "--internal-db"], {
    env: {
      LD_PRELOAD: join(native, "build/Release/without_xen.so"),
      XENSTORED_RUNDIR: directory,
    },
    extendEnv: true,
    stdin: "ignore",
    stdout: "ignore",
  });
  process.env["XENSTORED_PATH"] = join(directory, "socket");
  yield* fs
    .exists(join(directory, "socket"))
    .pipe(
      Effect.repeat({ until: (there) => there, schedule: Schedule.spaced("10 millis") }),
      Effect.timeout("1 minute"),
    );
});

/** Reads a second with so many in flight. */
const reads = Effect.fnUntraced(function* (inFlight: number) {
  const { read } = yield* XenStore;
  const began = yield* Clock.monotonicTimeNanos;
  const since = Effect.map(Clock.monotonicTimeNanos, (now) => Number(now - began) / 1e9);
  let count = 0;
  while ((yield* since) < seconds) {
    yield* Effect.replicateEffect(read(key), 256, { concurrency: inFlight, discard: true });
    count += 256;
  }
  return count / (yield* since);
});

const bench = Effect.gen(function* () {
  const directory = yield* scratch;
  const program = yield* compile(directory, "xenstore", ["gcc", "-lxenstore"]);
  yield* serve(directory);
  const most = { plain: 0, one: 0, many: 0 };
  yield* Effect.gen(function* () {
    const store = yield* XenStore;
    yield* store.write(key, "1048576 online");
    for (let turn = 0; turn < turns; turn++) {
      const plain = yield* measure(program, [key, String(seconds)]);
      most.plain = Math.max(most.plain, plain.get("reads") ?? 0);
      most.one = Math.max(most.one, yield* reads(1));
      most.many = Math.max(most.many, yield* reads(manyAtOnce));
    }
  }).pipe(Effect.provide(Live.layer));
  const baseline = { name: "plain C on libxenstore", value: most.plain };
  yield* report("Reads from Debian's C xenstored", [
    { name: "one at a time", value: most.one, unit: "a second", baseline, aim: "at least 0.9 ×" },
    {
      name: `${manyAtOnce} in flight`,
      value: most.many,
      unit: "a second",
      baseline,
      aim: "more than 1 ×",
    },
  ]);
}).pipe(Effect.scoped, Effect.provide(NodeServices.layer));

await Effect.runPromise(bench);
