/** Two guests that trade a pnode's memory, as one change. */
import { afterEach, expect, test } from "@jest/globals";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUp, descendants, temporaryDirectory, virtflex } from "./support.ts";

const limit = 240_000;
afterEach(cleanUp, limit);

const mib = 1024 ** 2;

const vnode = (id: number, actualMib: number, desired: "online" | "offline") => ({
  id,
  pnode: id,
  vcpus: [id],
  capacityBytes: 1024 * mib,
  targetBytes: actualMib * mib,
  actualBytes: actualMib * mib,
  desired,
});

const guest = (domain: number, name: string, second: ReturnType<typeof vnode>) => ({
  domain,
  name,
  vnodes: [vnode(0, 1024, "online"), second],
  vcpus: [0, 1].map((id) => ({
    id,
    online: id === 0 || second.desired === "online",
    affinity: [id],
  })),
  distances: [
    [10, 20],
    [20, 10],
  ],
  limitBytes: 1024 * mib + second.actualBytes,
});

/** Pnode 1 has 100 MiB free: what one guest has there, the other can't have too. */
const topology = {
  host: {
    pnodes: [0, 1].map((id) => ({
      id,
      pcpus: [id],
      memoryBytes: 4096 * mib,
      freeBytes: (id === 0 ? 1024 : 100) * mib,
    })),
    distances: [
      [10, 20],
      [20, 10],
    ],
  },
  guests: [guest(1, "web", vnode(1, 1024, "online")), guest(2, "batch", vnode(1, 256, "offline"))],
};

/** Both guests on a host that is served, and the command that talks to it. */
const serve = async () => {
  const directory = temporaryDirectory();
  const file = join(directory, "topology.json");
  writeFileSync(file, JSON.stringify(topology));
  const socket = join(directory, "sock");
  const server = virtflex(["embedded", "serve", "--socket", socket, "--topology", file]);
  await server.says("Serving on");
  const begin = (...args: ReadonlyArray<string>) =>
    virtflex(["--socket", socket, ...args], { NO_COLOR: "1" });
  const run = (...args: ReadonlyArray<string>) => begin(...args).ended;
  /** The process that is the guest side of batch. */
  const taker = () =>
    descendants(server.pid).find((pid) =>
      /--domain\x002\x00/.test(readFileSync(`/proc/${pid}/cmdline`, "utf8")),
    ) ?? -1;
  /** For each guest whether its second vnode is wanted, and what it has there. */
  const second = async () => {
    const { stdout } = await run("show", "--json");
    const { guests } = JSON.parse(stdout) as typeof topology;
    return guests.map(({ name, vnodes }) => [
      name,
      vnodes[1]?.desired,
      (vnodes[1]?.actualBytes ?? 0) / mib,
    ]);
  };
  return { begin, run, taker, second };
};

test(
  "one gives what the other takes, by one plan",
  async () => {
    const { run, second } = await serve();
    const alone = await run("expand", "batch", "--vnodes", "1");
    expect(alone.status).toBe(3);
    expect(alone.stderr).toContain("pnode 1 lacks");

    const traded = await run("trade", "web:1", "batch:1", "--json");
    expect([traded.status, JSON.parse(traded.stdout)]).toMatchObject([
      0,
      {
        result: "done",
        plan: {
          changes: [
            { _tag: "shrink", domain: 1 },
            { _tag: "expand", domain: 2 },
          ],
        },
      },
    ]);
    expect(await second()).toEqual([
      ["web", "offline", expect.any(Number)],
      ["batch", "online", 1024],
    ]);
    expect(await run("plan", "trade", "batch", "web:1")).toMatchObject({ status: 2 });
  },
  limit,
);

test(
  "a taker that does not answer: the giver has all of its own again",
  async () => {
    const { run, taker, second } = await serve();
    const before = await second();
    const agent = taker();
    process.kill(agent, "SIGSTOP");
    const traded = await run("trade", "web:1", "batch:1", "--timeout", "10s");
    expect([traded.status, traded.stderr]).toEqual([4, expect.stringContaining("as before")]);
    process.kill(agent, "SIGCONT");
    expect(await second()).toEqual(before);
  },
  limit,
);

test(
  "a controller that is killed half-way: doctor finds it, and both have their own again",
  async () => {
    const { begin, run, taker, second } = await serve();
    const before = await second();
    const agent = taker();
    process.kill(agent, "SIGSTOP");
    const trading = begin("trade", "web:1", "batch:1");
    await trading.says("memory limit: 2 GiB");
    process.kill(trading.pid, "SIGKILL");
    await trading.ended;
    process.kill(agent, "SIGCONT");

    expect(await second()).toContainEqual(["web", "offline", expect.any(Number)]);
    const found = await run("doctor");
    expect([found.status, found.stdout]).toEqual([
      1,
      expect.stringMatching(/journal +fail +.*of domain 1, 2: its controller is gone/),
    ]);
    expect(await run("doctor", "--repair")).toMatchObject({ status: 0 });
    expect(await second()).toEqual(before);
  },
  limit,
);
