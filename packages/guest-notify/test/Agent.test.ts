import { describe, expect, test } from "@jest/globals";
import { NumaKeys } from "@virtflex/topo-model";
import { Effect, Exit, Fiber, References, type Scope } from "effect";
import { TestClock } from "effect/testing";
import fc from "fast-check";
import { Agent, AgentFault, type Fault } from "../src/index.ts";
import {
  gib,
  lowBytes,
  type Machine,
  make,
  nodeStatuses,
  settle,
  shrinkTo,
  until,
} from "./fake/machine.ts";

const { path } = NumaKeys;
const gibKib = gib / 1024;
const lowKib = lowBytes / 1024;
const allOnline = Array.from({ length: 4 }, () => `${gibKib} online`);
const twoOnline = [...allOnline.slice(2), `${lowKib} offline`, `${lowKib} offline`];

const run = <A, E>(test: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.runPromise(
    test.pipe(
      Effect.scoped,
      Effect.provide(TestClock.layer()),
      Effect.provideService(References.MinimumLogLevel, "None"),
    ),
  );

const start = (machine: Machine, fault: Fault = { kind: "none" }) =>
  Agent.run().pipe(
    Effect.provide(machine.layer),
    Effect.provideService(AgentFault, fault),
    Effect.forkScoped,
  );

const shrink = (id: number, deadlineMs = 10_000) => ({
  ...shrinkTo(2),
  [path.request]: `${id} shrink ${deadlineMs}`,
});
const expand = (id: number) => ({ ...shrinkTo(4), [path.request]: `${id} expand 10000` });

const lastPage = (machine: Machine) => machine.pages.at(-1);
const cpus = (machine: Machine) =>
  lastPage(machine)?.cpuNode.filter((node) => node !== null).length;

describe("a guest that is well", () => {
  test("publishes itself and says what it can do before anything is asked", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        yield* start(machine);
        yield* settle;
        expect(machine.get(path.feature)).toBe("1");
        expect(machine.get(path.generation)).toBe("1");
        expect(machine.get(path.runtimes)).toBe("0/0");
        expect(nodeStatuses(machine)).toEqual(allOnline);
        expect(machine.get(path.state)).toBeUndefined();
        expect(lastPage(machine)).toMatchObject({
          nodes: Array.from({ length: 4 }, () => ({ present: true, online: true })),
          cpuNode: [0, 0, 1, 1, 2, 2, 3, 3],
        });
      }),
    ));

  test("shrinks and expands through the states of the contract", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        machine.runtimes.set(100, { adapts: true, generation: 1n });
        yield* start(machine);
        yield* settle;
        yield* machine.put(shrink(1));
        yield* until(machine, "1 done");
        expect(machine.states).toEqual([
          "1 accepted",
          "1 evacuating",
          "1 resizing",
          "1 settling",
          "1 done",
        ]);
        expect(nodeStatuses(machine)).toEqual(twoOnline);
        expect([...machine.held.values()]).toEqual([gib, gib, lowBytes, lowBytes]);
        // Leaving is one generation: what comes after it no runtime has to see.
        expect(machine.get(path.generation)).toBe("2");
        expect(machine.get(path.runtimes)).toBe("1/1");
        expect(cpus(machine)).toBe(4);

        yield* machine.put(expand(2));
        yield* until(machine, "2 done");
        expect(machine.states.slice(5)).toEqual([
          "2 accepted",
          "2 resizing",
          "2 settling",
          "2 done",
        ]);
        expect(nodeStatuses(machine)).toEqual(allOnline);
        expect(machine.get(path.generation)).toBe("3");
        expect(cpus(machine)).toBe(8);
        expect(machine.get("data/virtflex/before")).toBeUndefined();
      }),
    ));

  test("marks a node as evacuating, with its CPUs, before any of its memory goes", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        machine.runtimes.set(100, { adapts: false, generation: 1n });
        yield* start(machine);
        yield* settle;
        yield* machine.put(shrink(1));
        yield* until(machine, "1 evacuating");
        yield* settle;
        expect(lastPage(machine)?.nodes.map(({ evacuating }) => evacuating)).toEqual([
          false,
          false,
          true,
          true,
        ]);
        expect(cpus(machine)).toBe(8);
        expect(machine.held.get(2)).toBe(gib);
        expect(machine.get(path.runtimes)).toBe("0/1");
        expect(nodeStatuses(machine)[3]).toBe(`${gibKib} evacuating`);
        yield* machine.acknowledge(100);
        yield* until(machine, "1 done");
        expect(machine.get(path.runtimes)).toBe("1/1");
      }),
    ));

  test("waits for a runtime that does not adapt, but not for ever", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        machine.runtimes.set(100, { adapts: false, generation: 1n });
        yield* start(machine);
        yield* settle;
        yield* machine.put(shrink(1));
        yield* until(machine, "1 evacuating");
        yield* TestClock.adjust("4 seconds");
        yield* settle;
        expect(machine.get(path.state)).toBe("1 evacuating");
        yield* TestClock.adjust("1 second");
        yield* until(machine, "1 done");
        expect(machine.get(path.runtimes)).toBe("0/1");
      }),
    ));

  test("resizes a vnode without a new generation", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        yield* start(machine);
        yield* settle;
        yield* machine.put({
          [path.target(1)]: String(gibKib / 2),
          [path.request]: "1 resize 10000",
        });
        yield* until(machine, "1 done");
        expect(machine.states).toEqual(["1 accepted", "1 resizing", "1 settling", "1 done"]);
        expect(nodeStatuses(machine)[1]).toBe(`${gibKib / 2} online`);
        expect(lastPage(machine)).toMatchObject({ generation: 1n });
        expect(lastPage(machine)?.nodes[1]?.memoryBytes).toBe(gib / 2);
      }),
    ));

  test("publishes vCPUs that come and go by themselves", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        yield* start(machine);
        yield* settle;
        yield* machine.put({
          [path.availability(7)]: "offline",
          [path.availability(0)]: "offline",
        });
        yield* settle;
        // vCPU 0 stays: no guest can do without it.
        expect(lastPage(machine)?.cpuNode).toEqual([0, 0, 1, 1, 2, 2, 3]);
        expect(machine.get(path.generation)).toBe("2");
        yield* machine.put({ [path.availability(6)]: "garbage" });
        yield* settle;
        expect(lastPage(machine)?.cpuNode).toEqual([0, 0, 1, 1, 2, 2]);
        yield* machine.put({ [path.availability(7)]: "online" });
        yield* settle;
        expect(lastPage(machine)?.cpuNode).toEqual([0, 0, 1, 1, 2, 2, null, 3]);
        expect(machine.get(path.generation)).toBe("4");
      }),
    ));

  test("acts on an id above the last that it finished, and on no other", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        yield* start(machine);
        yield* settle;
        yield* machine.put({ [path.request]: "5 resize 1000" });
        yield* until(machine, "5 done");
        for (const old of ["5 shrink 1000", "4 shrink 1000", "5 cancel 1000"]) {
          yield* machine.put({ ...shrinkTo(2), [path.request]: old });
          yield* settle;
          expect(machine.get(path.state)).toBe("5 done");
        }
        expect(nodeStatuses(machine)).toEqual(allOnline);
        yield* machine.put({ [path.request]: "6 shrink 1000" });
        yield* until(machine, "6 done");
        expect(nodeStatuses(machine)).toEqual(twoOnline);
      }),
    ));

  test("answers the cancellation of a request that it never saw", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        yield* start(machine);
        yield* settle;
        yield* machine.put({ ...shrinkTo(2), [path.request]: "3 cancel 1000" });
        yield* until(machine, "3 cancelled");
        expect(nodeStatuses(machine)).toEqual(allOnline);
      }),
    ));

  test("finishes or gives up the request at hand when another one comes", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        machine.runtimes.set(100, { adapts: false, generation: 1n });
        yield* start(machine);
        yield* settle;
        yield* machine.put(shrink(1));
        yield* until(machine, "1 evacuating");
        yield* machine.put({ ...shrinkTo(4), [path.request]: "2 resize 1000" });
        yield* TestClock.adjust("500 millis");
        yield* until(machine, "2 done");
        expect(machine.states).toContain("1 failed superseded");
        expect(nodeStatuses(machine)).toEqual(allOnline);
      }),
    ));
});

/** Ways to have the guest stand still in each state for as long as nothing is done about it. */
const held: Record<string, (machine: Machine) => void> = {
  evacuating: ({ runtimes }) => runtimes.set(100, { adapts: false, generation: 1n }),
  resizing: ({ faults }) => (faults.drainableBytes = 100 * 1024 ** 2),
};
const released: Record<string, (machine: Machine) => void> = {
  evacuating: ({ runtimes }) => runtimes.clear(),
  resizing: ({ faults }) => (faults.drainableBytes = Infinity),
};

describe.each(Object.keys(held))("a request that is given up while %s", (state) => {
  test("is taken back when it is cancelled", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        held[state]?.(machine);
        yield* start(machine);
        yield* settle;
        yield* machine.put(shrink(1));
        yield* until(machine, `1 ${state}`);
        yield* settle;
        yield* machine.put({ [path.request]: "1 cancel 1000" });
        yield* settle;
        yield* TestClock.adjust("500 millis");
        yield* until(machine, "1 cancelled");
        expect(nodeStatuses(machine)).toEqual(allOnline);
        expect([...machine.held.values()]).toEqual([gib, gib, gib, gib]);
        expect(lastPage(machine)?.nodes.every((node) => node.online && !node.evacuating)).toBe(
          true,
        );
        expect(cpus(machine)).toBe(8);
        // And it can be asked again.
        released[state]?.(machine);
        yield* machine.put(shrink(2));
        yield* until(machine, "2 done");
      }),
    ));
});

test("a request whose time is over is taken back", () =>
  run(
    Effect.gen(function* () {
      const machine = yield* make();
      machine.faults.drainableBytes = 100 * 1024 ** 2;
      yield* start(machine);
      yield* settle;
      yield* machine.put(shrink(1, 100));
      yield* until(machine, "1 resizing");
      yield* Effect.andThen(TestClock.adjust("99 millis"), settle);
      expect(machine.get(path.state)).toBe("1 resizing");
      yield* Effect.andThen(TestClock.adjust("1 millis"), settle);
      expect(machine.get(path.state)).toBe("1 failed deadline");
      expect(nodeStatuses(machine)).toEqual(allOnline);
      expect([...machine.held.values()]).toEqual([gib, gib, gib, gib]);
    }),
  ));

describe("a request that can't be done", () => {
  test.each([
    ["numa/version is another", { [path.version]: "2" }, "unsupported"],
    ["numa/version is missing", { [path.version]: undefined }, "unsupported"],
    ["a target is above the capacity", { [path.target(1)]: String(gibKib + 4) }, "bad-node"],
    ["a target is missing", { [path.target(1)]: undefined }, "bad-node"],
    ["a target is garbage", { [path.target(1)]: "1 GiB" }, "bad-node"],
    ["a vCPU is in two nodes", { [path.vcpus(1)]: "1-3" }, "bad-node"],
    ["a vnode is no number", { "numa/node/x/target": "0" }, "bad-node"],
    ["the home vnode shall go", { [path.desired(0)]: "offline" }, "home-node"],
  ] as const)("because %s fails and changes nothing", (_, keys, code) =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        yield* start(machine);
        yield* settle;
        yield* machine.put({ ...shrink(1), ...keys });
        yield* until(machine, `1 failed ${code}`);
        expect(nodeStatuses(machine)).toEqual(allOnline);
        expect([...machine.held.values()]).toEqual([gib, gib, gib, gib]);
        expect(lastPage(machine)?.generation).toBe(1n);
      }),
    ),
  );

  test("as the memory is in use is taken back: busy", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        machine.faults.drainableBytes = gib;
        yield* start(machine);
        yield* settle;
        yield* machine.put(shrink(1, 60_000));
        for (let i = 0; i < 30; i++) yield* Effect.andThen(TestClock.adjust("100 millis"), settle);
        yield* until(machine, "1 failed busy");
        expect(nodeStatuses(machine)).toEqual(allOnline);
        expect([...machine.held.values()]).toEqual([gib, gib, gib, gib]);
      }),
    ));

  test("as the host has no memory is taken back: no-memory", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        yield* start(machine);
        yield* settle;
        yield* machine.put(shrink(1));
        yield* until(machine, "1 done");
        machine.faults.freeBytes = gib;
        yield* machine.put({ ...expand(2), [path.request]: "2 expand 60000" });
        for (let i = 0; i < 30; i++) yield* Effect.andThen(TestClock.adjust("100 millis"), settle);
        yield* until(machine, "2 failed no-memory");
        expect(nodeStatuses(machine)).toEqual(twoOnline);
      }),
    ));

  test("and can't be taken back either says so: restore", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        machine.faults.drainableBytes = gib;
        machine.faults.freeBytes = gib / 2;
        yield* start(machine);
        yield* settle;
        yield* machine.put(shrink(1, 60_000));
        for (let i = 0; i < 60; i++) yield* Effect.andThen(TestClock.adjust("100 millis"), settle);
        yield* until(machine, "1 failed restore");
        // The achieved amounts are true.
        expect(nodeStatuses(machine)).toEqual(
          [...machine.held].map(
            ([, bytes]) => expect.stringContaining(`${bytes / 1024} `) as unknown,
          ),
        );
      }),
    ));

  test("as the page can't be written says so", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        yield* start(machine);
        yield* settle;
        machine.faults.publish = true;
        yield* machine.put(shrink(1));
        yield* until(machine, "1 failed restore");
        machine.faults.publish = false;
        yield* machine.put(shrink(2));
        yield* until(machine, "2 done");
      }),
    ));
});

test("garbage in any key the host writes is answered with a code, and the agent lives", async () => {
  const garbage = fc.oneof(
    fc.constantFrom("", "-1", "1 2 3", "offline", "online", "0-3", "9".repeat(5000), "\0"),
    fc.string({ maxLength: 30 }),
  );
  const key = fc.constantFrom(
    path.version,
    ...[0, 1, 2, 3].flatMap((vnode) => [
      path.pnode(vnode),
      path.capacity(vnode),
      path.target(vnode),
      path.vcpus(vnode),
      path.desired(vnode),
      path.availability(vnode),
    ]),
    "numa/node/64/target",
    "cpu/x/availability",
  );
  const request = fc.oneof(
    garbage,
    garbage.map((text) => `7 ${text}`),
    fc.constant("7 shrink 1000"),
  );
  await fc.assert(
    fc.asyncProperty(fc.dictionary(key, garbage, { maxKeys: 3 }), request, (keys, text) =>
      run(
        Effect.gen(function* () {
          const machine = yield* make();
          const agent = yield* start(machine);
          yield* settle;
          yield* machine.put({ ...shrinkTo(2), ...keys, [path.request]: text });
          yield* settle;
          for (let i = 0; i < 12; i++) yield* Effect.andThen(TestClock.adjust("1 second"), settle);
          expect(agent.pollUnsafe()).toBeUndefined();
          const state = NumaKeys.parseState(machine.get(path.state) ?? "");
          expect(state).toMatchObject({
            _tag: "Success",
            success: { state: expect.stringMatching(/^(done|failed|cancelled)$/) as unknown },
          });
          // Good keys, and it serves again.
          const good = yield* make();
          yield* machine.put(
            Object.fromEntries(
              [...new Set([...Object.keys(keys), ...Object.keys(shrinkTo(2))])].map((each) => [
                each,
                good.get(each),
              ]),
            ),
          );
          yield* machine.put({ [path.request]: "1000 expand 60000" });
          for (let i = 0; i < 12; i++) yield* Effect.andThen(TestClock.adjust("1 second"), settle);
          yield* until(machine, "1000 done");
        }),
      ),
    ),
    { numRuns: 20 },
  );
}, 60_000);

describe("an agent that is killed", () => {
  /** A shrink of a guest that has done requests before, with the agent killed at its nth write. */
  const killedAt = Effect.fnUntraced(function* (writes: number) {
    const machine = yield* make();
    const first = yield* start(machine);
    yield* settle;
    machine.faults.writesLeft = writes;
    yield* machine.put(shrink(1));
    yield* settle;
    const dead = first.pollUnsafe();
    if (dead !== undefined) expect(Exit.isFailure(dead)).toBe(true);
    yield* Fiber.interrupt(first);
    machine.faults.writesLeft = Infinity;
    return { machine, killed: dead !== undefined };
  });

  test("at any write: its successor does what is asked", () =>
    run(
      Effect.gen(function* () {
        let writes = 0;
        for (let killed = true; killed; writes++) {
          const at = yield* killedAt(writes);
          killed = at.killed;
          yield* start(at.machine);
          yield* until(at.machine, "1 done");
          yield* settle;
          expect(nodeStatuses(at.machine)).toEqual(twoOnline);
          expect([...at.machine.held.values()]).toEqual([gib, gib, lowBytes, lowBytes]);
          expect(cpus(at.machine)).toBe(4);
          expect(at.machine.get("data/virtflex/before")).toBeUndefined();
        }
        expect(writes).toBeGreaterThan(10);
      }),
    ));

  test("at any write, and cancelled meanwhile: its successor restores what was before", () =>
    run(
      Effect.gen(function* () {
        for (let writes = 0, killed = true; killed; writes++) {
          const at = yield* killedAt(writes);
          killed = at.killed;
          const done = at.machine.get(path.state) === "1 done";
          yield* at.machine.put({ [path.request]: "1 cancel 1000" });
          yield* start(at.machine);
          yield* until(at.machine, done ? "1 done" : "1 cancelled");
          yield* settle;
          expect(nodeStatuses(at.machine)).toEqual(done ? twoOnline : allOnline);
          const bytes = done ? lowBytes : gib;
          expect([...at.machine.held.values()]).toEqual([gib, gib, bytes, bytes]);
          expect(cpus(at.machine)).toBe(done ? 4 : 8);
        }
      }),
    ));

  test("does not take an old journal for its own", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        yield* machine.put({
          [path.state]: "4 done",
          [path.request]: "4 shrink 1000",
          "data/virtflex/before": `4|0 ${lowKib} offline|x`,
        });
        yield* start(machine);
        yield* settle;
        expect(machine.get(path.state)).toBe("4 done");
        expect(nodeStatuses(machine)).toEqual(allOnline);
      }),
    ));
});

describe("an agent that was asked to misbehave", () => {
  test("never answers", () =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        yield* start(machine, { kind: "silent" });
        yield* settle;
        expect(machine.get(path.feature)).toBe("1");
        yield* machine.put(shrink(1));
        yield* Effect.andThen(TestClock.adjust("1 hour"), settle);
        expect(machine.states).toEqual([]);
        expect(nodeStatuses(machine)).toEqual(allOnline);
      }),
    ));

  test.each(NumaKeys.ProgressState.literals)("stops half-way, %s", (state) =>
    run(
      Effect.gen(function* () {
        const machine = yield* make();
        const agent = yield* start(machine, { kind: "stops", state });
        yield* settle;
        yield* machine.put(shrink(1, 1000));
        yield* until(machine, `1 ${state}`);
        yield* machine.put({ [path.request]: "1 cancel 1000" });
        yield* Effect.andThen(TestClock.adjust("1 hour"), settle);
        expect(machine.get(path.state)).toBe(`1 ${state}`);
        // One that is well takes over.
        yield* Fiber.interrupt(agent);
        yield* start(machine);
        yield* until(machine, "1 cancelled");
        expect(nodeStatuses(machine)).toEqual(allOnline);
      }),
    ),
  );
});
