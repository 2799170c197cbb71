/** A guest that wants memory of a pnode which another guest fills: the other moves, or nothing does. */
import { afterEach, expect, test } from "@jest/globals";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUp, temporaryDirectory, virtflex } from "./support.ts";

const limit = 240_000;
afterEach(cleanUp, limit);

const mib = 1024 ** 2;

/** web's vnode 1 is offline; batch has the memory of its pnode. Pnode 2 is free. */
const topology = {
  host: {
    pnodes: [0, 1, 2].map((id) => ({
      id,
      pcpus: [id],
      memoryBytes: 4096 * mib,
      freeBytes: ([1024, 100, 2048][id] ?? 0) * mib,
    })),
    distances: [0, 1, 2].map((from) => [0, 1, 2].map((to) => (from === to ? 10 : 20))),
  },
  guests: [
    {
      domain: 1,
      name: "web",
      vnodes: [0, 1].map((id) => ({
        id,
        pnode: id,
        vcpus: [id],
        capacityBytes: 1024 * mib,
        targetBytes: (id === 0 ? 1024 : 256) * mib,
        actualBytes: (id === 0 ? 1024 : 256) * mib,
        desired: id === 0 ? "online" : "offline",
      })),
      vcpus: [0, 1].map((id) => ({ id, online: id === 0, affinity: [id] })),
      distances: [
        [10, 20],
        [20, 10],
      ],
      limitBytes: 1280 * mib,
    },
    {
      domain: 2,
      name: "batch",
      vnodes: [
        {
          id: 0,
          pnode: 1,
          vcpus: [0],
          capacityBytes: 1024 * mib,
          targetBytes: 1024 * mib,
          actualBytes: 1024 * mib,
          desired: "online",
        },
      ],
      vcpus: [{ id: 0, online: true, affinity: [1] }],
      distances: [[10]],
      limitBytes: 1024 * mib,
    },
  ],
};

test(
  "expand --make-room moves the vnode that is in the way, and says so",
  async () => {
    const directory = temporaryDirectory();
    const file = join(directory, "topology.json");
    writeFileSync(file, JSON.stringify(topology));
    const socket = join(directory, "sock");
    const server = virtflex(["embedded", "serve", "--socket", socket, "--topology", file]);
    await server.says("Serving on");
    const run = (...args: ReadonlyArray<string>) =>
      virtflex(["--socket", socket, ...args], { NO_COLOR: "1" }).ended;
    const vnodes = async () => {
      const { guests } = JSON.parse((await run("show", "--json")).stdout) as typeof topology;
      return guests.map(({ name, vnodes: of }) => [
        name,
        ...of.map(({ pnode, desired, actualBytes }) => [pnode, desired, actualBytes / mib]),
      ]);
    };
    const before = await vnodes();

    const alone = await run("expand", "web", "--vnodes", "1");
    expect([alone.status, alone.stderr]).toEqual([3, expect.stringContaining("pnode 1 lacks")]);
    expect(await vnodes()).toEqual(before);

    const args = ["expand", "web", "--vnodes", "1", "--make-room", "--json"];
    const done = await run(...args);
    expect([done.status, JSON.parse(done.stdout)]).toMatchObject([
      0,
      {
        result: "done",
        plan: {
          changes: [
            { _tag: "expand", domain: 1, vnodes: [1] },
            { _tag: "rehome", domain: 2, vnode: 0, pnode: 2 },
          ],
        },
      },
    ]);
    expect(await vnodes()).toEqual([
      ["web", [0, "online", 1024], [1, "online", 1024]],
      ["batch", [2, "online", 1024]],
    ]);
  },
  limit,
);
