/** The live layer where there is no Xen: it can be built, and says what is missing. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { constants as os, tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { DomainId, PnodeId, VcpuId, VnodeId } from "@virtflex/topo-model";
import { Effect, Stream } from "effect";
import { Hypervisor, XenStore, XenUnavailable } from "../src/index.ts";
import * as Live from "../src/live/index.ts";

// Skipped in a domain of Xen: what is tested is how its absence is told.
const here = existsSync("/proc/xen/capabilities");
const withoutXen = here ? test.skip : test;

const domain = DomainId.make(1);

withoutXen("every call says that there is no Xen, and what would help", async () => {
  const outcomes = await Effect.runPromise(
    Effect.gen(function* () {
      const xen = yield* Hypervisor;
      const store = yield* XenStore;
      const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        xen.host,
        xen.domains,
        xen.domain(domain),
        xen.setVcpusOnline(domain, [VcpuId.make(0)], true),
        xen.pinVcpus(domain, [VcpuId.make(0)], []),
        xen.setLimit(domain, 4096),
        xen.reserve(domain, PnodeId.make(0), 4096),
        xen.moveVnode(domain, VnodeId.make(0), PnodeId.make(0)),
        store.read("/"),
        store.write("/x", "1"),
        store.transaction((t) => t.read("/")),
        Stream.runDrain(store.watch("/")),
      ];
      return yield* Effect.forEach(calls, (call) => Effect.flip(call));
    }).pipe(Effect.provide(Live.layer)),
  );
  for (const outcome of outcomes) {
    if (!(outcome instanceof XenUnavailable)) throw new Error(String(outcome));
    expect(outcome.code).toBe("XEN_UNAVAILABLE");
    expect(outcome.missing).toMatch(/no hypervisor answers|xenstored does not answer/);
    expect(outcome.hint).toContain("dom0");
  }
});

/** What a process gets of a libxenctrl that is found in `folder`. */
const askXen = (folder: string, fake = ""): unknown =>
  JSON.parse(
    execFileSync(process.execPath, [join(import.meta.dirname, "programs/askXen.ts")], {
      encoding: "utf8",
      env: { ...process.env, LD_LIBRARY_PATH: folder, FAKE_XEN: fake },
    }),
  );

const fakes = join(import.meta.dirname, "../../../native/xen-control/build");
const fake = join(fakes, "fake");
const limit = 60_000;

withoutXen(
  "what libxenctrl answers is described",
  () => {
    const answer = askXen(fake) as { readonly domains: ReadonlyArray<unknown> };
    expect(answer).toMatchObject({
      host: {
        pnodes: [
          { id: 0, pcpus: [0, 1], memoryBytes: 4 * 1024 ** 3, freeBytes: 1024 ** 3 },
          { id: 1, pcpus: [2, 3] },
        ],
        distances: [
          [10, 21],
          [21, 10],
        ],
      },
    });
    // Of 300, one had gone when its vCPUs were asked for.
    expect(answer.domains).toHaveLength(299);
    expect(answer.domains[0]).toMatchObject({
      domain: 1,
      vcpus: [
        { id: 0, online: true, affinity: [0, 1] },
        { id: 1, online: false },
      ],
      vnuma: [
        { id: 0, pnode: 0, capacityBytes: 8192, vcpus: [0] },
        { id: 1, pnode: 0, capacityBytes: 4096, vcpus: [1] },
      ],
      distances: [
        [10, 20],
        [20, 10],
      ],
    });
  },
  limit,
);

withoutXen(
  "a Xen of another version than the library is refused, and both are named",
  () => {
    expect(askXen(fake, "18")).toMatchObject({
      code: "XEN_UNAVAILABLE",
      message: expect.stringMatching(/Xen 4\.18 runs here, libxenctrl\.so\.4\.17/) as unknown,
    });
  },
  limit,
);

describe("moving a vnode's memory", () => {
  /** What becomes of it, and what the library was told of vnodes' nodes. */
  const move = (library: string, errno = 0) => {
    const program = join(import.meta.dirname, "programs/moveVnode.ts");
    const env = { ...process.env, LD_LIBRARY_PATH: join(fakes, library), FAKE_XEN: "" };
    const { stdout, stderr } = spawnSync(process.execPath, [program], {
      encoding: "utf8",
      env: errno === 0 ? env : { ...env, FAKE_ERRNO: String(errno) },
    });
    return { ...(JSON.parse(stdout) as object), told: stderr.match(/^vnode.*/gm) };
  };

  withoutXen(
    "goes on until all was looked at, and later memory comes from the same node",
    () => {
      expect(move("fake_patched")).toEqual({
        there: { movedBytes: 2 * 4096, skippedPages: 0 },
        pnode: 1,
        back: { movedBytes: 4096, skippedPages: 1 },
        nowhere: "NoSuchNode",
        told: ["vnode 0 from node 1", "vnode 0 from node 0"],
      });
    },
    limit,
  );

  withoutXen.each([
    ["the node is full half way: what had moved goes back", os.errno.ENOMEM, "NoMemory"],
    ["the domain has a device passed through", os.errno.EXDEV, "Unsupported"],
    ["the hypervisor is without the patches", os.errno.ENOSYS, "Unsupported"],
  ])(
    "%s",
    (_, errno, reason) => {
      expect(move("fake_patched", errno)).toEqual({
        there: reason,
        pnode: 0,
        back: { movedBytes: 0, skippedPages: 0 },
        nowhere: "NoSuchNode",
        told: ["vnode 0 from node 1", "vnode 0 from node 0", "vnode 0 from node 0"],
      });
    },
    limit,
  );

  withoutXen(
    "a library without the patches is Unsupported, and told nothing",
    () => {
      const outcome = {
        there: "Unsupported",
        pnode: 0,
        back: "Unsupported",
        nowhere: "NoSuchNode",
      };
      expect(move("fake")).toEqual({ ...outcome, told: null });
    },
    limit,
  );
});

withoutXen(
  "a library that can't be opened is named, and what installs it",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "virtflex-test-"));
    writeFileSync(join(folder, "libxenctrl.so.4.17"), "");
    expect(askXen(folder)).toMatchObject({
      code: "XEN_UNAVAILABLE",
      message: expect.stringMatching(/libxenctrl\.so\.4\.17.*apt install/) as unknown,
    });
    rmSync(folder, { recursive: true });
  },
  limit,
);
