/** `virtflex guests create` and `virtflex adopt` on a real Xen. */
import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import * as GuestConfig from "../../../tools/lab/src/GuestConfig.ts";
import { defaultGuest, type Host } from "../../../tools/lab/src/Lab.ts";
import { onLab } from "../../../tools/lab/src/Testing.ts";

const minutes = (n: number) => n * 60_000;
const slow = { timeout: "10 minutes" } as const;

const xlConfig = `name = "made"
memory = 256
maxmem = 256
vcpus = 2
vnuma = [ ["pnode=2", "size=128", "vcpus=0", "vdistances=10,20"],
          ["pnode=3", "size=128", "vcpus=1", "vdistances=20,10"] ]
`;

/** In our own format, of two vnodes with two vCPUs each. */
const ours = (name: string, pnodes: ReadonlyArray<number>, kernel = "vmlinux") =>
  JSON.stringify({
    name,
    kernel: `${GuestConfig.bootDirectory}/${kernel}`,
    ramdisk: `${GuestConfig.bootDirectory}/initrd`,
    vnodes: pnodes.map((pnode) => ({ pnode, memoryMib: 128, vcpus: 2 })),
    xl: { tsc_mode: "native", on_crash: "preserve" },
  });

/** What a guest that was not made must not leave. */
const traces = (dom0: Host) =>
  dom0.check(
    "xl list | awk '{print $1, $2, $3}'; xenstore-list /local/domain; xenstore-list /vm; " +
      "ls /tmp | grep virtflex- || true",
  );

/** Of each pnode, in MiB, as `xl info -n` lists it. */
const freeMemory = (dom0: Host) =>
  Effect.map(dom0.check("xl info -n | sed '1,/memfree/d'"), (text) =>
    [...text.matchAll(/^ +\d+: +\d+ +(\d+)/gm)].map(([, mib]) => Number(mib)),
  );

/** The hard affinity of each vCPU, in xl's notation. */
const pins = (dom0: Host, name: string) =>
  Effect.map(dom0.check(`xl vcpu-list ${name}`), (text) =>
    [...text.matchAll(/ (\S+) \/ \S+$/gm)].slice(1).map(([, hard]) => hard),
  );

/** A configuration in dom0, and the guest that it names, gone with the scope. */
const config = Effect.fnUntraced(function* (dom0: Host, file: string, text: string, name: string) {
  yield* dom0.push(Buffer.from(text), file);
  yield* Effect.addFinalizer(() => Effect.ignore(dom0.run(`xl destroy ${name}; rm ${file}`)));
});

describe("virtflex guests create", () => {
  const bad: ReadonlyArray<readonly [file: string, text: string, status: number, says: RegExp]> = [
    ["pnode.json", ours("bad", [0, 9]), 2, /pnode.*9/],
    ["kernel.json", ours("bad", [0, 1], "absent"), 1, /xl create .*bad\.cfg: .*error/s],
  ];

  it(
    "refuses what makes no guest, says why, and leaves nothing",
    onLab(function* ({ dom0 }) {
      const before = yield* traces(dom0);
      const free = yield* freeMemory(dom0);
      expect(free).toHaveLength(4);
      yield* Effect.forEach(
        bad,
        ([file, text, status, says]) =>
          Effect.gen(function* () {
            yield* dom0.push(Buffer.from(text), `/tmp/${file}`);
            const ended = yield* dom0.run(`virtflex guests create /tmp/${file}`, slow);
            expect([file, ended.status, ended.stderr.toString()]).toEqual([
              file,
              status,
              expect.stringMatching(says),
            ]);
            yield* dom0.check(`rm /tmp/${file}`);
          }),
        { concurrency: 2 },
      );
      expect(yield* traces(dom0)).toBe(before);
      const lost = (yield* freeMemory(dom0)).map((mib, pnode) =>
        Math.abs(mib - (free[pnode] ?? 0)),
      );
      // Xen's own pages come and go; the guest would have taken 128.
      expect(Math.max(...lost)).toBeLessThanOrEqual(2);
    }),
    minutes(20),
  );

  it(
    "makes a guest of xl's configuration, pinned, adopted and running",
    onLab(function* ({ dom0 }) {
      const { text } = yield* GuestConfig.complete(xlConfig);
      yield* config(dom0, "/tmp/made.cfg", text, "made");
      const created = yield* dom0.check("virtflex guests create /tmp/made.cfg --json", slow);
      const { domain } = JSON.parse(created) as { readonly domain: number };
      expect(yield* pins(dom0, "made")).toEqual(["4-5", "6-7"]);
      const keys = (yield* dom0.check(`xenstore-ls -fp /local/domain/${domain}/numa`)).split("\n");
      const node = (vnode: number, pnode: number) =>
        [
          `node/${vnode}/pnode = "${pnode}"`,
          `node/${vnode}/capacity = "131072"`,
          `node/${vnode}/target = "131072"`,
          `node/${vnode}/vcpus = "${vnode}"`,
          `node/${vnode}/desired = "online"`,
        ].map((key) => `/local/domain/${domain}/numa/${key}   (n0,r${domain})`);
      expect(keys).toEqual(expect.arrayContaining([...node(0, 2), ...node(1, 3)]));
      // A paused one has a "p".
      expect(yield* dom0.check("xl list made")).toMatch(/^made .* [r-][b-]---- /m);
    }),
    minutes(20),
  );

  it(
    "makes one of our configuration, its vCPUs pinned vnode by vnode",
    onLab(function* ({ dom0 }) {
      yield* config(dom0, "/tmp/typed.json", ours("typed", [1, 0]), "typed");
      const said = yield* dom0.check("virtflex guests create /tmp/typed.json", slow);
      expect(said).toMatch(/^typed \(domain \d+\): 2 vnodes, pinned, adopted, running/);
      expect(yield* pins(dom0, "typed")).toEqual(["2-3", "2-3", "0-1", "0-1"]);
    }),
    minutes(20),
  );
});

describe("virtflex adopt", () => {
  it(
    "gives a guest its keys to read and its own to write, once",
    onLab(function* (lab) {
      const { dom0 } = lab;
      const home = (yield* dom0.check(`xl domid ${defaultGuest}`)).trim();
      const forget = dom0.run(
        `for key in numa control/feature-virtflex; do xenstore-rm /local/domain/${home}/$key; done`,
      );
      yield* forget;
      yield* Effect.addFinalizer(() => Effect.ignore(forget));
      const tree = dom0.check(`xenstore-ls -fp /local/domain/${home}/numa`);
      const adopt = Effect.map(
        dom0.check(`virtflex adopt ${defaultGuest} --json`, slow),
        (answer) => (JSON.parse(answer) as { readonly written: ReadonlyArray<string> }).written,
      );
      expect(yield* adopt).toEqual(expect.arrayContaining(["numa/version", "numa/status"]));
      const written = yield* tree;
      expect(written).toContain(`/numa/status = ""   (n${home})`);

      const guest = yield* lab.guest();
      expect((yield* guest.check("xenstore-read numa/node/3/pnode")).trim()).toBe("3");
      for (const refused of ["xenstore-write numa/node/3/pnode 0", "xenstore-rm numa/version"]) {
        expect([refused, (yield* guest.run(refused)).status]).not.toEqual([refused, 0]);
      }
      yield* guest.check("xenstore-write numa/status/generation 1 control/feature-virtflex 1");
      expect(yield* adopt).toEqual([]);
      expect((yield* tree).replace(/.*\/generation = .*\n/, "")).toBe(written);
    }),
    minutes(20),
  );
});
