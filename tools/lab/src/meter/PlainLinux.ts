/**
 * Debian's kernel with NUMA nodes in QEMU, without Xen, its one program `walk` (numa-meter/test): the machine on which the meter is
 * the easiest to check.
 *
 * @since 0.1.0
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Effect, Queue } from "effect";
import { BootFailed } from "../LabError.ts";
import { nodeArguments } from "../Qemu.ts";
import type { Shape } from "../Shape.ts";
import * as Stage from "../Stage.ts";
import { meterStage, stagesOf } from "../stages.ts";
import { qemuArguments, socketOf } from "./Plugin.ts";

/** Lines that are kept, to be shown if it goes wrong. */
const keptLines = 30;

/** What a walk took, in nanoseconds of the machine's clock. @since 0.1.0 */
export interface Walked {
  readonly uncountedNs: number;
  readonly countedNs: number;
}

/**
 * Boots it, with the meter if there are options for it; the end of the scope ends it.
 *
 * @since 0.1.0
 */
export const boot = Effect.fn("PlainLinux.boot")(function* (
  shape: Shape,
  options: ReadonlyArray<string> | undefined,
) {
  const { linux } = stagesOf({ xen: "release" });
  const built = yield* Stage.ensure({ linux, meter: meterStage }, () => Effect.void);
  const state = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "numa-meter-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true })),
  );
  const argv = [
    ...["--pdeathsig", "KILL", "qemu-system-x86_64"],
    ...["-nodefaults", "-no-reboot", "-display", "none", "-machine", "q35"],
    ...["-accel", "tcg,thread=multi", "-cpu", "max", ...nodeArguments(shape)],
    ...["-kernel", join(built.linux, "vmlinuz"), "-initrd", join(built.meter, "walk.cpio")],
    ...["-append", "console=ttyS0 quiet panic=-1 mitigations=off", "-serial", "stdio"],
    ...(options === undefined ? [] : qemuArguments(built.meter, shape, state, options)),
  ];
  const qemu = yield* Effect.acquireRelease(
    Effect.sync(() => spawn("setpriv", argv, { stdio: ["pipe", "pipe", "pipe"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL")),
  );
  const lines = yield* Queue.unbounded<string | undefined>();
  const said: Array<string> = [];
  for (const stream of [qemu.stdout, qemu.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      said.push(line);
      said.splice(0, said.length - keptLines);
      Queue.offerUnsafe(lines, line);
    });
  }
  // Once QEMU has gone there is nobody to write to; that no answer comes is said then.
  qemu.stdin.on("error", () => undefined);

  // Of its last words first: they may come after its end.
  qemu.on("close", () => Queue.offerUnsafe(lines, undefined));

  /** What the next line says that matches. */
  const next = (pattern: RegExp) =>
    Effect.gen(function* () {
      for (;;) {
        const line = yield* Queue.take(lines);
        if (line === undefined) return yield* failed("it ended");
        const match = pattern.exec(line);
        if (match !== null) return match;
      }
    }).pipe(
      Effect.timeoutOrElse({
        duration: "3 minutes",
        orElse: () => failed(`no ${String(pattern)} within 3 minutes`),
      }),
    );
  const failed = (reason: string) => {
    const tail = said.join("\n");
    const message = `plain Linux: ${reason}; the end of its console:\n${tail}`;
    return new BootFailed({ what: "plain Linux", log: "", tail, message });
  };
  yield* next(/walk: ready/);

  /** Walks once: from a CPU, over so many MiB of a node's memory, so many times. */
  const walk = Effect.fnUntraced(function* (
    cpu: number,
    node: number,
    mib: number,
    passes: number,
  ) {
    yield* Effect.sync(() => qemu.stdin.write(`${[cpu, node, mib, passes].join(" ")}\n`));
    const [, uncounted, counted] = yield* next(
      new RegExp(`walked ${String(cpu)} ${String(node)} (\\d+) (\\d+)`),
    );
    return { uncountedNs: Number(uncounted), countedNs: Number(counted) } satisfies Walked;
  });
  return { walk, socket: socketOf(state) };
});
