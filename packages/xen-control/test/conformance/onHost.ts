/**
 * The conformance suites of the live layer on a Xen host, by a plain Node, as root:
 *
 *   node onHost.ts store                 the store's, below /tool/virtflex-conformance
 *   node onHost.ts hypervisor KERNEL     the hypervisor's, on a paused guest of its own
 *   node onHost.ts traces                what of both is still there, a line each
 *
 * It says on stderr what it is going to do. A line of JSON on stdout is a case.
 * Whatever ends it, a signal or a reader that is gone, it removes what it made.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { DomainId } from "@virtflex/topo-model";
import { Cause, Effect, type Layer } from "effect";
import { Hypervisor, XenStore } from "../../src/index.ts";
import * as Live from "../../src/live/index.ts";
import type { Case } from "./Case.ts";
import { hypervisorCases } from "./hypervisor.ts";
import type { Outcome } from "./Outcome.ts";
import { xenStoreCases } from "./xenStore.ts";

const run = promisify(execFile);
const xl = (...args: ReadonlyArray<string>) =>
  Effect.map(
    Effect.tryPromise(() => run("xl", args)),
    ({ stdout }) => stdout.trim(),
  );

const say = (line: string) => Effect.sync(() => console.error(`conformance: ${line}`));

const scratch = "/tool/virtflex-conformance";
const guestName = "virtflex-conformance";
const vnodeMib = 64;

const configOf = (type: string, name: string, kernel: string, pnodes: ReadonlyArray<number>) =>
  [
    `name = "${name}"`,
    `type = "${type}"`,
    `kernel = "${kernel}"`,
    `memory = ${vnodeMib * 2}`,
    `maxmem = ${vnodeMib * 2}`,
    `vcpus = 2`,
    // Xen doesn't say which pnode a vnode is on: where its vCPUs may run does.
    `cpus = [${pnodes.map((pnode) => `"nodes:${pnode}"`).join(", ")}]`,
    `on_reboot = "destroy"`,
    `vnuma = [${pnodes.map((pnode, v) => `["pnode=${pnode}", "size=${vnodeMib}", "vcpus=${v}", "vdistances=${v === 0 ? "10,20" : "20,10"}"]`).join(", ")}]`,
    "",
  ].join("\n");

/** A guest with two vnodes that never runs, gone with the scope. */
const subject = Effect.fnUntraced(function* (kernel: string) {
  const { pnodes } = yield* Effect.flatMap(Hypervisor, ({ host }) => host);
  const roomy = [...pnodes].sort((a, b) => b.freeBytes - a.freeBytes).map(({ id }) => id);
  const on = [roomy[0] ?? 0, roomy[1] ?? roomy[0] ?? 0];
  const name = `${guestName}-${process.pid}`;
  yield* say(
    `creates the paused guest ${name} with ${2 * vnodeMib} MiB on pnodes ${on.join(" and ")}, acts on it alone, and destroys it`,
  );
  const create = (type: string) =>
    Effect.scoped(
      Effect.gen(function* () {
        const folder = yield* Effect.acquireRelease(
          Effect.promise(() => mkdtemp(join(tmpdir(), "virtflex-"))),
          (path) => Effect.promise(() => rm(path, { recursive: true })),
        );
        const file = join(folder, "guest.cfg");
        yield* Effect.promise(() => writeFile(file, configOf(type, name, kernel, on)));
        yield* xl("create", "-p", file);
      }),
    );
  // Debian's own libxl makes no PVH guest with vNUMA.
  yield* Effect.acquireRelease(
    Effect.catch(create("pvh"), () => create("hvm")),
    () => Effect.ignore(xl("destroy", name)),
  );
  return DomainId.make(Number(yield* xl("domid", name)));
});

const tell = (outcome: Outcome) => Effect.sync(() => console.log(JSON.stringify(outcome)));

const runCases = <R>(cases: ReadonlyArray<Case<R>>, layer: Layer.Layer<R>) =>
  Effect.forEach(
    cases,
    ({ what, run }) =>
      Effect.matchCauseEffect(Effect.provide(run, layer), {
        onSuccess: () => tell({ what }),
        onFailure: (cause) => tell({ what, why: Cause.pretty(cause) }),
      }),
    { discard: true },
  );

const traces = Effect.gen(function* () {
  const store = yield* XenStore;
  const hypervisor = yield* Hypervisor;
  const keys = (yield* store.list("/tool")).map((key) => `/tool/${key}`);
  // The store's suite runs where there is no Xen, too.
  const domains = yield* Effect.catchTag(hypervisor.domains, "XenUnavailable", () =>
    Effect.succeed([]),
  );
  const left = [
    ...keys.filter((key) => key === scratch),
    ...domains.map(({ name }) => name).filter((name) => name.startsWith(guestName)),
  ];
  for (const each of left) console.log(each);
}).pipe(Effect.provide(Live.layer));

const suites: Readonly<Record<string, Effect.Effect<void, unknown>>> = {
  store: Effect.andThen(
    say(`writes below ${scratch} in xenstore, and removes it`),
    runCases<XenStore>(xenStoreCases(scratch), Live.layer),
  ),
  hypervisor: Effect.scoped(
    Effect.flatMap(subject(process.argv[3] ?? ""), (domain) =>
      runCases(hypervisorCases(domain), Live.layer),
    ),
  ).pipe(Effect.provide(Live.layer)),
  traces,
};

const suite = suites[process.argv[2] ?? ""] ?? Effect.fail("which: store, hypervisor or traces?");
const fiber = Effect.runFork(suite);
const stop = () => {
  fiber.interruptUnsafe();
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
process.stdout.on("error", stop);
fiber.addObserver((exit) => {
  if (exit._tag === "Success") return;
  console.error(`conformance: ${Cause.pretty(exit.cause)}`);
  process.exitCode = 1;
});
