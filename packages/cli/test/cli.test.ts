/** The command as its users meet it: output, errors, exit codes. */
import { afterEach, expect, test } from "@jest/globals";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  cleanUp,
  fixture,
  repository,
  serveEmbedded,
  temporaryDirectory,
  virtflex,
} from "./support.ts";

const limit = 240_000;
afterEach(cleanUp, limit);

const epyc = fixture("epyc-7551p-4x16-guest-4x14");
const full = fixture("xeon-2x8-two-guests-one-shrunk");

const run = (...args: ReadonlyArray<string>) => virtflex(args, { NO_COLOR: "1" }).ended;

test(
  "plan prints the steps and the cost of leaving two of four vnodes of an EPYC",
  async () => {
    const { status, stdout, stderr } = await run(
      ...["plan", "--topology", epyc, "shrink", "ubuntu", "--vnodes", "2,3"],
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toContain("guest: shrink vnode 2 4 GiB → 150 MiB, vnode 3 4 GiB → 150 MiB");
    expect(stdout).toContain("vcpus 14-27,42-55 offline");
    expect(stdout).toContain("memory limit: 16 GiB → 8.29 GiB");
    expect(stdout).toMatch(/Moves 7\.71 GiB \(3946 superpages, 0 small pages\), about \d/);
  },
  limit,
);

test(
  "an impossible change exits 3 and says which pnode lacks how much",
  async () => {
    const args = ["plan", "--topology", full, "expand", "solver", "--vnodes", "1"];
    const text = await run(...args);
    expect(text.status).toBe(3);
    expect(text.stdout).toBe("");
    expect(text.stderr).toContain("pnode 1 lacks 9.63 GiB: 15.63 GiB needed, 6 GiB free");
    const json = await run(...args, "--json");
    expect(json.status).toBe(3);
    expect(JSON.parse(json.stdout)).toMatchObject({
      result: "refused",
      error: { code: "NO_MEMORY", shortages: [{ pnode: 1, freeBytes: 6 * 1024 ** 3 }] },
    });
  },
  limit,
);

const misuse: ReadonlyArray<readonly [why: string, args: ReadonlyArray<string>, says: string]> = [
  ["an unknown command", ["shrnik"], "shrnik"],
  ["a missing argument", ["shrink", "--vnodes", "1"], "domain"],
  ["no list of vnodes", ["plan", "--topology", epyc, "shrink", "ubuntu", "--vnodes", "2;3"], "2;3"],
  ["no such domain", ["plan", "--topology", epyc, "shrink", "web", "--vnodes", "2"], "ubuntu (1)"],
  ["no such file", ["plan", "--topology", "/absent", "shrink", "1", "--vnodes", "2"], "/absent"],
];

test.each(misuse)(
  "usage: %s exits 2, named on stderr, nothing on stdout",
  async (_, args, says) => {
    const { status, stdout, stderr } = await run(...args);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(says);
    expect(stderr).not.toContain("\x1b[");
  },
  limit,
);

test(
  "a file that is no topology is refused with its field and rule",
  async () => {
    const file = join(temporaryDirectory(), "t.json");
    writeFileSync(file, '{ "host": { "pnodes": [], "distances": [[10]] }, "guests": [] }');
    const { status, stderr } = await run(
      "plan",
      "--topology",
      file,
      "shrink",
      "1",
      "--vnodes",
      "1",
    );
    expect(status).toBe(2);
    expect(stderr).toContain("host.pnodes");
  },
  limit,
);

test(
  "without a host a verb says how to get one",
  async () => {
    const env = { XDG_RUNTIME_DIR: temporaryDirectory() };
    const { status, stderr } = await virtflex(["list", "--host", "auto"], env).ended;
    expect(status).toBe(1);
    expect(stderr).toContain("virtflex embedded serve");
  },
  limit,
);

// Skipped in a domain of Xen, where it would be a Xen that answers.
(existsSync("/proc/xen/capabilities") ? test.skip : test)(
  "an embedded host that runs is taken, unless Xen is asked for",
  async () => {
    const { socket } = await serveEmbedded();
    expect((await run("--socket", socket, "list")).stdout).toContain("laptop");
    expect((await run("--socket", socket, "--host", "embedded", "list")).status).toBe(0);
    const { status, stderr } = await run("--socket", socket, "--host", "live", "list");
    expect(status).toBe(1);
    expect(stderr).toContain("Xen is unavailable");
  },
  limit,
);

test(
  "an operator's round on an embedded host",
  async () => {
    const { socket } = await serveEmbedded();
    const on = (...args: ReadonlyArray<string>) => run("--socket", socket, ...args);
    const listed = await on("list", "--json");
    expect(JSON.parse(listed.stdout)).toMatchObject({
      host: { pnodes: [{ id: 0 }, { id: 1 }] },
      guests: [{ domain: 1, name: "laptop", state: "running", aware: true, vnodes: [{}, {}] }],
    });
    const dry = await on("shrink", "laptop", "--vnodes", "1", "--dry-run");
    expect(dry).toMatchObject({ status: 0, stderr: "" });

    const shrunk = await on("shrink", "laptop", "--vnodes", "1", "--json");
    expect(shrunk.status).toBe(0);
    expect(JSON.parse(shrunk.stdout)).toMatchObject({ result: "done" });
    const lines = shrunk.stderr.trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^✓ \[1\/3\] guest: shrink vnode 1 1 GiB → .* \(.*\)$/);

    expect(await on("shrink", "1", "--vnodes", "1")).toMatchObject({ status: 3 });
    const status = await on("status", "1");
    expect(status.stdout).toContain("1 shrink: done");
    expect(status.stdout).toMatch(/^by pnode +0: 1 GiB, 1: \d+ MiB$/m);
    const run1 = await on("run", "--", "sh", "-c", "exit 7");
    expect(run1.status).toBe(1);
    expect(run1.stderr).toContain("Can't run");
    const cg = join(repository, "tools/apps/build/cg");
    expect(await on("run", "--", cg, "--class", "X")).toMatchObject({ status: 2 });
    const right = await on("run", "--", cg, "--class", "S");
    expect(right.status).toBe(0);
    expect(right.stdout).toContain("verified=yes threads=1 ");
  },
  limit,
);

test(
  "watch tells of every guest until it is interrupted",
  async () => {
    const { socket } = await serveEmbedded();
    const watching = virtflex(["watch", "--json", "--socket", socket]);
    const told = new Promise<void>((resolve) => {
      let text = "";
      watching.process.stdout?.on("data", (data: Buffer) => {
        text += data.toString();
        if (/"op":"shrink".*"state":"done"/.test(text)) resolve();
      });
    });
    expect(await run("--socket", socket, "shrink", "laptop", "--vnodes", "1")).toMatchObject({
      status: 0,
    });
    await told;
    watching.process.kill("SIGINT");
    const { status, stdout } = await watching.ended;
    expect(status).toBe(130);
    for (const line of stdout.trimEnd().split("\n")) {
      expect(JSON.parse(line)).toMatchObject({ domain: 1, name: "laptop" });
    }
  },
  limit,
);

test(
  "the demonstration: threads go down and up again, and a silent guest changes nothing",
  async () => {
    const directory = temporaryDirectory();
    const timeline = join(directory, "t.svg");
    const args = ["demo", "--json", "--faults", "--class", "S", "--timeline", timeline];
    const { status, stdout } = await virtflex(args, { TMPDIR: directory }).ended;
    expect(status).toBe(0);
    const document = JSON.parse(stdout) as {
      readonly phases: ReadonlyArray<Record<"threadsBefore" | "threadsAfter", number>>;
    };
    expect(document).toMatchObject({
      result: "done",
      verified: true,
      timeline,
      phases: [
        { op: "shrink", result: "done" },
        { op: "expand", result: "done" },
        { op: "shrink", result: "rolled-back", adaptedMs: null },
      ],
    });
    const [shrunk, expanded, undone] = document.phases;
    expect(shrunk?.threadsAfter).toBeLessThan(shrunk?.threadsBefore ?? 0);
    expect(expanded?.threadsAfter).toBe(shrunk?.threadsBefore);
    expect(undone?.threadsAfter).toBe(undone?.threadsBefore);
    expect(readdirSync(directory)).toEqual(["t.svg"]);
  },
  limit,
);
