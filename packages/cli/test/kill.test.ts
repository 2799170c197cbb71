/**
 * Processes that are killed in the middle of a change: none is left behind,
 * the page is whole, and the host's state is that of before or of after.
 */
import { afterEach, expect, test } from "@jest/globals";
import { NodeServices } from "@effect/platform-node";
import { PageReader } from "@virtflex/guest-notify";
import { apply, Controller, survey } from "@virtflex/pipeline";
import { DomainId, plan, VnodeId } from "@virtflex/topo-model";
import { type Hypervisor, XenStore } from "@virtflex/xen-control";
import { EmbeddedHost } from "@virtflex/xen-control/embedded";
import * as EmbeddedClient from "@virtflex/xen-control/embedded-client";
import { Effect, Layer } from "effect";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  cleanUp,
  descendants,
  isAlive,
  repository,
  serveEmbedded,
  start,
  temporaryDirectory,
  until,
  virtflex,
} from "./support.ts";

const limit = 240_000;
afterEach(cleanUp, limit);

const domain = DomainId.make(1);
const mib = 1024 ** 2;

const readPage = (path: string) =>
  Effect.runPromise(
    Effect.flatMap(PageReader, ({ read }) => read).pipe(Effect.provide(PageReader.layer(path))),
  );

/** Asks the host itself, from this process. */
const ask = <A, E>(
  socket: string,
  question: Effect.Effect<A, E, XenStore | Hypervisor | EmbeddedHost>,
) => Effect.runPromise(question.pipe(Effect.provide(EmbeddedClient.layer(socket))));

const pauseAfter = (socket: string, bytes: number) =>
  ask(
    socket,
    Effect.flatMap(EmbeddedHost, (host) => host.pauseAfter(domain, bytes)),
  );

const unpause = (socket: string) =>
  ask(
    socket,
    Effect.flatMap(EmbeddedHost, (host) => host.unpause(domain)),
  );

const hasJournal = (socket: string) =>
  ask(
    socket,
    Effect.flatMap(XenStore, (store) => store.list("/tool/virtflex/change")).pipe(
      Effect.map((changes) => changes.length > 0),
      Effect.orElseSucceed(() => false),
    ),
  );

/** What a change changes. */
const stateOf = (socket: string) =>
  ask(
    socket,
    Effect.map(survey, ({ guests: [found] }) => ({
      guest: found?.guest,
      memoryBytes: found?.memoryBytes ?? Number.NaN,
      nodes: [...(found?.report.nodes ?? [])],
    })),
  );

/** Waits until the guest has given some memory back, and then stands still. */
const untilBegun = (socket: string, before: { readonly memoryBytes: number }) =>
  until(
    "the guest has begun",
    async () => (await stateOf(socket)).memoryBytes < before.memoryBytes,
  );

const shrink = (socket: string) =>
  virtflex(["shrink", "laptop", "--vnodes", "1", "--socket", socket, "--timeout", "20s"]);

/** Makes a whole change from this process. */
const changeNow = (socket: string, verb: "expand" | "shrink") =>
  ask(
    socket,
    Effect.gen(function* () {
      const { topology } = yield* survey;
      const change = { _tag: verb, domain, vnodes: [VnodeId.make(1)] } as const;
      const steps = yield* Effect.fromResult(plan(topology.host, topology.guests, change));
      yield* apply(steps, { deadline: "20 seconds", onProgress: () => Effect.void });
    }).pipe(Effect.provide(Layer.provide(Controller.layer, NodeServices.layer))),
  );

/** The states before and after the change that the tests interrupt. */
const learnStates = async (socket: string) => {
  const before = await stateOf(socket);
  await changeNow(socket, "shrink");
  const after = await stateOf(socket);
  await changeNow(socket, "expand");
  expect(await stateOf(socket)).toEqual(before);
  return { before, after };
};

/** A shrink that has begun, and whose guest then stands still; and the state before it. */
const halfWay = async (socket: string) => {
  const { before } = await learnStates(socket);
  await pauseAfter(socket, 100 * mib);
  const change = shrink(socket);
  await untilBegun(socket, before);
  return { before, change };
};

const doctor = async (socket: string, ...flags: ReadonlyArray<string>) =>
  (await virtflex(["doctor", "--socket", socket, ...flags]).ended).status;

const pageOf = (socket: string) => join(dirname(socket), "domain-1.topology");

const agentOf = (pid: number): number => {
  const [agent] = descendants(pid);
  if (agent === undefined) throw new Error("The server has no agent");
  return agent;
};

test(
  "the demonstration is killed in mid-change: no process is left, the page is whole",
  async () => {
    const directory = temporaryDirectory();
    const timeline = join(directory, "t.svg");
    const demo = virtflex(["demo", "--class", "S", "--timeline", timeline], { TMPDIR: directory });
    await demo.says("shrink vnodes");
    const children = descendants(demo.pid);
    expect(children.length).toBeGreaterThanOrEqual(2);
    demo.process.kill("SIGKILL");
    await demo.ended;
    await until("no process is left", () => !children.some(isAlive));
    const [own] = readdirSync(directory).filter((name) => name.startsWith("virtflex-demo-"));
    const page = await readPage(join(directory, own ?? "", "domain-1.topology"));
    expect(page.generation).toBeGreaterThan(0n);
  },
  limit,
);

test(
  "the demonstration is interrupted: it undoes its change, ends its processes, tidies up",
  async () => {
    const directory = temporaryDirectory();
    const timeline = join(directory, "t.svg");
    const demo = virtflex(["demo", "--class", "S", "--timeline", timeline], { TMPDIR: directory });
    await demo.says("shrink vnodes");
    const children = descendants(demo.pid);
    demo.process.kill("SIGINT");
    expect((await demo.ended).status).toBe(130);
    expect(children.some(isAlive)).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
  },
  limit,
);

test(
  "the server is killed: its agents go with it, and another can take its place",
  async () => {
    const { socket, server } = await serveEmbedded();
    const children = descendants(server.pid);
    expect(children).toHaveLength(1);
    server.process.kill("SIGKILL");
    await server.ended;
    await until("no process is left", () => !children.some(isAlive));
    const generation = (await readPage(pageOf(socket))).generation;
    const next = virtflex(["embedded", "serve", "--socket", socket]);
    await next.says("Serving on");
    expect((await readPage(pageOf(socket))).generation).toBeGreaterThanOrEqual(generation);
    expect(await doctor(socket)).toBe(0);
  },
  limit,
);

test(
  "a program is killed in mid-change: the change goes on without it",
  async () => {
    const { socket } = await serveEmbedded();
    const { before, after } = await learnStates(socket);
    const libgomp = execFileSync("sh", [join(repository, "gcc-libgomp/build.sh")], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
    const cg = start(join(repository, "tools/apps/build/cg"), ["--repetitions", "1000000"], {
      OMP_WAIT_POLICY: "passive",
      LD_LIBRARY_PATH: libgomp,
      VIRTFLEX_TOPOLOGY: pageOf(socket),
    });
    await until("CG is registered", () =>
      readdirSync(`${pageOf(socket)}.d`).includes(String(cg.pid)),
    );
    await pauseAfter(socket, 100 * mib);
    const change = shrink(socket);
    await untilBegun(socket, before);
    cg.process.kill("SIGKILL");
    await cg.ended;
    await unpause(socket);
    expect((await change.ended).status).toBe(0);
    expect(await stateOf(socket)).toEqual(after);
    const registered = () => readdirSync(`${pageOf(socket)}.d`).includes(String(cg.pid));
    await until("CG is off the list", () => !registered());
  },
  limit,
);

test(
  "the agent is killed in mid-change: its successor brings the change to an end",
  async () => {
    const { socket, server } = await serveEmbedded();
    const { before, after } = await learnStates(socket);
    await pauseAfter(socket, 100 * mib);
    const change = shrink(socket);
    const agent = agentOf(server.pid);
    await untilBegun(socket, before);
    process.kill(agent, "SIGKILL");
    await unpause(socket);
    const { status } = await change.ended;
    expect([0, 4]).toContain(status);
    expect(await stateOf(socket)).toEqual(status === 0 ? after : before);
    expect(isAlive(agent)).toBe(false);
    await until("another agent is there", () => descendants(server.pid).length > 0);
    expect((await readPage(pageOf(socket))).generation).toBeGreaterThan(0n);
    expect(await doctor(socket)).toBe(0);
  },
  limit,
);

test(
  "the controller is killed while the guest is at it: found by doctor, undone by --repair",
  async () => {
    const { socket } = await serveEmbedded();
    const { before, change } = await halfWay(socket);
    const second = await shrink(socket).ended;
    expect(second.status).toBe(1);
    expect(second.stderr).toContain(`process ${change.pid}`);

    change.process.kill("SIGKILL");
    await change.ended;
    await unpause(socket);
    const found = await virtflex(["doctor", "--socket", socket, "--json"]).ended;
    expect(found.status).toBe(1);
    expect(JSON.parse(found.stdout)).toMatchObject({
      result: "failed",
      error: { code: "DOCTOR_FOUND_FAILURES" },
      findings: expect.arrayContaining([
        expect.objectContaining({ check: "journal", status: "fail" }),
      ]),
    });
    expect(await doctor(socket, "--repair")).toBe(0);
    expect(await stateOf(socket)).toEqual(before);
  },
  limit,
);

test(
  "watch of one guest says that it is gone, and ends",
  async () => {
    const { socket } = await serveEmbedded();
    const watching = virtflex(["watch", "laptop", "--json", "--socket", socket]);
    await new Promise((resolve) => watching.process.stdout?.once("data", resolve));
    await ask(
      socket,
      Effect.flatMap(EmbeddedHost, (host) => host.destroyGuest(domain)),
    );
    const { status, stdout } = await watching.ended;
    expect(status).toBe(0);
    expect(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")).toEqual({
      domain: 1,
      name: "laptop",
      state: "gone",
    });
  },
  limit,
);

test(
  "what a repair can't undo is told of, and is no success",
  async () => {
    const { socket } = await serveEmbedded();
    const { change } = await halfWay(socket);
    change.process.kill("SIGKILL");
    await change.ended;
    const repaired = await virtflex(["doctor", "--repair", "--socket", socket, "--json"]).ended;
    expect(repaired.status).toBe(1);
    expect(JSON.parse(repaired.stdout)).toMatchObject({
      findings: expect.arrayContaining([
        expect.objectContaining({ check: "repair", status: "fail" }),
        expect.objectContaining({ check: "guest laptop", status: "warn" }),
      ]),
    });
    await unpause(socket);
  },
  limit,
);

test(
  "the controller is killed at any moment: the state is that of before or after, once repaired",
  async () => {
    const { socket } = await serveEmbedded();
    const { before, after } = await learnStates(socket);
    for (const delay of [0, 20, 100]) {
      const change = shrink(socket);
      await until(
        "the change has a journal or is over",
        async () => change.process.exitCode !== null || (await hasJournal(socket)),
      );
      await sleep(delay);
      change.process.kill("SIGKILL");
      await change.ended;
      expect(await doctor(socket, "--repair")).toBe(0);
      const state = await stateOf(socket);
      expect([before, after]).toContainEqual(state);
      if (state.memoryBytes !== before.memoryBytes) await changeNow(socket, "expand");
    }
  },
  2 * limit,
);

test(
  "nobody reads what the controller says any more: it does its change all the same",
  async () => {
    const { socket } = await serveEmbedded();
    const { before, change } = await halfWay(socket);
    change.process.stderr?.destroy();
    await unpause(socket);
    expect((await change.ended).status).toBe(0);
    expect((await stateOf(socket)).memoryBytes).toBeLessThan(before.memoryBytes);
  },
  limit,
);

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "the controller gets %s in mid-change: it undoes it and says so",
  async (signal) => {
    const { socket } = await serveEmbedded();
    const { before, change } = await halfWay(socket);
    change.process.kill(signal);
    await unpause(socket);
    const { status, stderr } = await change.ended;
    expect(stderr).toContain("undo");
    expect(status).toBe(4);
    expect(await stateOf(socket)).toEqual(before);
  },
  limit,
);
