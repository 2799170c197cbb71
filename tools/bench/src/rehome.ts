/**
 * Moving a running guest's memory to another pnode, against what there is without the patches: save and restore of the same guest,
 * during all of which it stands still. Xen saves no guest with vNUMA, so the guest has none; the hypervisor moves either in the same
 * way. Its program writes all the time, and tells the longest time that writing one page took. Takes a lab (docs/lab.md), whose times are an
 * emulator's.
 *
 *     npm run bench -- rehome [--json]
 */
import { sharedLab, XenTests } from "@virtflex/lab";
import { Console, Effect } from "effect";
import { report } from "./Report.ts";

const guestName = "rehome-bench";
const guestMiB = 320;
const writtenMiB = 128;
const pnodes = [1, 2, 3, 0];

const config = `name = "${guestName}"\nvcpus = 4\nmemory = ${String(guestMiB)}\nmaxmem = ${String(guestMiB)}\n`;

const slow = { timeout: "10 minutes" } as const;

const numberIn = (text: string, name: string) =>
  Number(new RegExp(`${name} ([\\d.]+)`).exec(text)?.[1]);

const bench = Effect.gen(function* () {
  const lab = yield* sharedLab("bench-rehome", (line) => Console.error(line));
  const { dom0 } = lab;
  yield* Effect.acquireRelease(lab.createGuest(config), () =>
    Effect.ignore(dom0.run(`xl destroy ${guestName}`)),
  );
  const guest = yield* lab.guest(guestName);
  const rehome = yield* XenTests.install(dom0, "rehome-vnode");
  const pattern = yield* XenTests.install(guest, "guest-pattern");
  const domid = (yield* dom0.check(`xl domid ${guestName}`)).trim();

  /** The longest time of a page in ms, while `during` runs. */
  const writing = Effect.fnUntraced(function* <A, E, R>(during: Effect.Effect<A, E, R>) {
    yield* guest.check(
      `rm -f /tmp/log; setsid ${pattern} ${String(writtenMiB)} >/tmp/log 2>&1 </dev/null & ` +
        "until grep -q ready /tmp/log; do sleep 0.2; done",
      slow,
    );
    const value = yield* during;
    yield* guest.check("kill -TERM $(pidof guest-pattern)");
    const said = yield* guest.check("until grep passes /tmp/log; do sleep 0.2; done", slow);
    if (numberIn(said, "wrong words") !== 0) return yield* Effect.die(new Error(said));
    return { value, longestMs: numberIn(said, "longest page") / 1000 };
  });

  const moving = yield* writing(
    Effect.forEach(pnodes, (pnode) => dom0.check(`${rehome} ${domid} all ${String(pnode)}`, slow)),
  );
  const sum = (name: string) =>
    moving.value.reduce((total, text) => total + numberIn(text, name), 0);
  const seconds = sum("seconds");
  const alone = yield* writing(Effect.sleep(seconds * 1000));

  const stopped = yield* dom0.check(
    `set -e; began=$(date +%s%N); xl save ${guestName} /run/saved >&2; xl restore /run/saved >&2; ended=$(date +%s%N); rm /run/saved; echo ns $((ended - began))`,
    slow,
  );
  const stoppedSeconds = numberIn(stopped, "ns") / 1e9;
  const stop = { name: "save and restore", value: stoppedSeconds * 1000 };
  yield* report(
    `Moving a guest of ${String(guestMiB)} MiB and 4 vCPUs round 4 pnodes while it writes, under emulation`,
    [
      {
        name: "moved",
        value: sum("moved") / 256 / seconds,
        unit: "MiB/s",
        baseline: { name: stop.name, value: guestMiB / stoppedSeconds },
      },
      {
        name: "longest time of a page, moves meanwhile",
        value: moving.longestMs,
        unit: "ms",
        baseline: { name: "without moves", value: alone.longestMs },
      },
      {
        name: "longest that a vCPU was held up, at most",
        value: moving.longestMs,
        unit: "ms",
        baseline: stop,
      },
    ],
  );
});

await Effect.runPromise(Effect.scoped(bench));
