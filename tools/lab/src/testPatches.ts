/**
 * `npm run lab:patches`: shows that each of the two libxl patches is needed. Boots a lab and creates the same vNUMA guest with Xen's
 * libraries built with both patches, with the first alone and with the second alone; each must fare as the patches' headers say.
 *
 * With VIRTFLEX_LAB set, the lab of that name is used, and stays. What overruns a heap buffer need not crash: glibc's checking malloc sees to it that it does.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NodeRuntime } from "@effect/platform-node";
import { Effect } from "effect";
import * as GuestConfig from "./GuestConfig.ts";
import * as Lab from "./Lab.ts";
import * as Shape from "./Shape.ts";
import * as Stage from "./Stage.ts";
import { xenLibsOf } from "./stages.ts";
import { labVariable } from "./Testing.ts";

const say = (line: string) => Effect.sync(() => console.log(`lab: ${line}`));

const sizeQuery = "0001-tools-libxl-accept-ENOBUFS-from-the-vNUMA-size-query.patch";
const distances = "0002-tools-libxl-make-PVH-s-vNUMA-distance-array-nr_vnode.patch";

interface Case {
  readonly name: string;
  readonly patches: ReadonlyArray<string>;
  readonly expected: string;
  readonly good: (status: number, output: string) => boolean;
}

const cases: ReadonlyArray<Case> = [
  {
    name: "both",
    patches: [sizeQuery, distances],
    expected: "the guest is created",
    good: (status) => status === 0,
  },
  {
    name: "the size query alone",
    patches: [sizeQuery],
    expected: "the distance array is overrun: malloc's checks abort xl",
    good: (status, output) => status === 134 && /corrupt|invalid|free\(\)|realloc\(\)/.test(output),
  },
  {
    name: "the distance array alone",
    patches: [distances],
    expected: "the size query fails with ENOBUFS",
    good: (status, output) =>
      status !== 0 && /xc_domain_getvnuma failed/.test(output) && /No buffer space/.test(output),
  },
];

const program = Effect.scoped(
  Effect.gen(function* () {
    const shape = yield* Shape.make({});
    const report = ({ stage, event, seconds }: Stage.Progress) =>
      event === "cached" ? Effect.void : say(`${stage}: ${event} (${seconds.toFixed(0)} s)`);
    const shared = process.env[labVariable];
    const lab =
      shared !== undefined
        ? yield* Lab.attach(shared)
        : yield* Lab.up({
            name: `patches-${String(process.pid)}`,
            shape,
            flavour: { xen: "release" },
            accelerator: "auto",
            report: say,
          });
    // Brings kernel and root file system into dom0 as well.
    if (shared === undefined) yield* lab.createGuest();
    const { text } = GuestConfig.standard(shape, "patched");
    yield* lab.dom0.push(Buffer.from(text), "/tmp/patched.cfg");

    let failed = 0;
    for (const { name, patches, expected, good } of cases) {
      const { libs } = yield* Stage.ensure({ libs: xenLibsOf(patches) }, report);
      const folder = `/tmp/${patches.map((patch) => patch.slice(0, 4)).join("-")}`;
      yield* lab.dom0.check(`mkdir -p ${folder}`);
      yield* lab.dom0.push(
        readFileSync(join(libs, "lib", "libxenlight.so.4.17")),
        `${folder}/libxenlight.so.4.17`,
      );
      const { status, stdout, stderr } = yield* lab.dom0.run(
        `LD_LIBRARY_PATH=${folder} LD_PRELOAD=libc_malloc_debug.so.0 MALLOC_CHECK_=3 xl -vvv create -p /tmp/patched.cfg`,
        { timeout: "5 minutes" },
      );
      yield* lab.dom0.run("xl destroy patched", { timeout: "5 minutes" });
      const output = `${stdout.toString()}${stderr.toString()}`;
      const held = good(status, output);
      if (!held) failed += 1;
      yield* say(
        `${name}: ${expected}: ${held ? "ok" : `NOT SO, status ${String(status)}\n${output.slice(-2000)}`}`,
      );
    }
    console.log(`${String(cases.length - failed)} passed, ${String(failed)} failed, 0 skipped`);
    process.exitCode = failed === 0 ? 0 : 1;
  }),
);

program.pipe(
  Effect.catch((error) =>
    Effect.sync(() => {
      console.log(`lab: ${error.message}`);
      process.exitCode = 1;
    }),
  ),
  NodeRuntime.runMain,
);
