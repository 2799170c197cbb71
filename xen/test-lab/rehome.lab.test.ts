/**
 * A guest whose memory is moved while it uses it.
 *
 * VIRTFLEX_ROUNDS: how often each vnode goes round all pnodes again, after a round that is looked at move by move (0).
 */
import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { defaultGuest } from "../../tools/lab/src/Lab.ts";
import { onLab } from "../../tools/lab/src/Testing.ts";
import { install } from "../../tools/lab/src/XenTests.ts";
import { guestConfig, placement, rehomed, vnodeMiB, vnodes } from "./programs.ts";

const rounds = Number(process.env["VIRTFLEX_ROUNDS"] ?? 0);
const minutes = (n: number) => n * 60_000;
/** The free pages of each pnode, of what `rehome-vnode` prints. */
const pagesOf = (text: string) => text.split(" ").slice(1).map(Number);
const total = (list: ReadonlyArray<number>) => list.reduce((a, b) => a + b, 0);
const slow = { timeout: "10 minutes" } as const;
/**
 * Free memory after tens of thousands of pages were moved, but for some that Xen takes and frees for itself; how far each pnode's is apart.
 * Programs of dom0 check it to the page (`dom0.lab.test.ts`).
 */
const expectAlike = (pages: ReadonlyArray<number>, others: ReadonlyArray<number>) => {
  const apart = pages.map((count, pnode) => count - (others[pnode] ?? 0));
  expect(Math.max(...apart.map(Math.abs))).toBeLessThan(128);
  return apart;
};
const patternMiB = Math.floor(vnodes.length * vnodeMiB * 0.8);

describe("moving the memory of a guest that writes it", () => {
  it(
    "each vnode goes round all pnodes while the guest writes and checks 80 % of its memory; it may not do so itself; it is destroyed meanwhile",
    onLab(function* (lab) {
      const rehome = yield* install(lab.dom0, "rehome-vnode");
      const free = Effect.map(lab.dom0.check(rehome), (text) => text.trim());
      const empty = pagesOf(yield* free);
      yield* Effect.acquireRelease(lab.createGuest(guestConfig("rehomed")), () =>
        Effect.ignore(lab.dom0.run("xl destroy rehomed")),
      );
      const guest = yield* lab.guest("rehomed");
      const domid = (yield* lab.dom0.check("xl domid rehomed")).trim();
      const pattern = yield* install(guest, "guest-pattern");
      // What it complained of while it booted is not of interest.
      yield* guest.check("dmesg -c");
      // The guest must not find itself short of memory: the rest is for its kernel, which keeps 64 MiB free if it is not told otherwise.
      yield* guest.check("sysctl -q vm.min_free_kbytes=8192");
      yield* guest.check(
        `setsid sh -c '${pattern} ${String(patternMiB)} >/tmp/log 2>&1; echo $? >/tmp/status' </dev/null >/dev/null 2>&1 & ` +
          "for i in $(seq 4500); do grep -q ready /tmp/log && exit 0; [ -e /tmp/status ] && break; sleep 0.2; done; cat /tmp/log >&2; exit 1",
        { timeout: "20 minutes" },
      );

      const move = (vnode: number, to: number) =>
        `${rehome} ${domid} ${String(vnode)} ${String(to)}`;
      // Xen may have taken a page of a vnode from elsewhere when the guest was built.
      yield* lab.dom0.check(`${rehome} ${domid} home`, slow);
      const start = { ...(yield* placement(lab, domid)), free: yield* free };
      expect(start.pnodes).toEqual(vnodes);
      let pages = start.pages;
      let [moved, seconds, longest] = [0, 0, 0];
      const note = (done: ReturnType<typeof rehomed>) => {
        moved += done.moved;
        seconds += done.seconds;
        longest = Math.max(longest, done.longest);
      };
      for (let step = 1; step <= vnodes.length; step++) {
        for (const vnode of vnodes) {
          const from = (vnode + step - 1) % vnodes.length;
          const to = (vnode + step) % vnodes.length;
          const done = rehomed(yield* lab.dom0.check(move(vnode, to), slow));
          const now = yield* placement(lab, domid);
          note(done);
          // A few pages are in use by dom0 and by Xen, and stay.
          expect(done.unmovable).toBe(0);
          expect(done.busy).toBeLessThan(64);
          expect(done.moved).toBeGreaterThan(vnodeMiB * 256 * 0.97);
          expect(now.pages[to]).toBe((pages[to] ?? 0) + done.moved);
          expect(now.pnodes[vnode]).toBe(to);
          expect(total(now.pages)).toBe(total(start.pages));
          // What was in use in the move before is elsewhere.
          expect((now.pages[from] ?? 0) - (pages[from] ?? 0) + done.moved).toBeLessThan(64);
          pages = now.pages;
        }
      }
      yield* lab.dom0.check(`${rehome} ${domid} home`, slow);
      for (let round = 1; round <= rounds; round++) {
        const done = rehomed(yield* lab.dom0.check(`${rehome} ${domid} round`, slow));
        expect(done.unmovable).toBe(0);
        expect(done.moved).toBeGreaterThan(vnodes.length ** 2 * vnodeMiB * 256 * 0.97);
        expect(yield* placement(lab, domid)).toEqual({ pages: start.pages, pnodes: vnodes });
        note(done);
        console.log(
          `round ${String(round)}: ${String(done.moved)} pages moved, ${String(done.busy)} times busy`,
        );
      }
      expect(yield* placement(lab, domid)).toEqual({ pages: start.pages, pnodes: vnodes });
      const apart = expectAlike(pagesOf(yield* free), pagesOf(start.free));

      yield* guest.check("kill -TERM $(pidof guest-pattern)");
      const result = yield* guest.check(
        "for i in $(seq 3000); do [ -e /tmp/status ] && break; sleep 0.2; done; cat /tmp/log /tmp/status",
        { timeout: "10 minutes" },
      );
      console.log(
        `${String(1 + rounds)} rounds, ${String(moved)} pages moved, ${(moved / 256 / seconds).toFixed(0)} MiB/s, ` +
          `longest call ${longest.toFixed(3)} s, more free by pnode: ${apart.join(", ")}; in the guest: ${result.trim().replaceAll("\n", " ")}`,
      );
      expect(result).toMatch(/^ready\npasses [1-9]\d*, wrong words 0, falls 0, .*\n0\n$/);
      expect(yield* guest.check("dmesg -r")).not.toMatch(/<[0-3]>|BUG|Oops|segfault/);

      // Nothing of this is for a guest.
      const misuse = yield* install(guest, "guest-misuse");
      const other = (yield* lab.dom0.check(`xl domid ${defaultGuest}`)).trim();
      const refused = yield* guest.run(`${misuse} 0 ${domid} ${other}`);
      expect(refused.stdout.toString()).toBe("12 passed, 0 failed, 0 skipped\n");

      // What xl refuses to save it leaves as it is, moved or not.
      const save = yield* lab.dom0.run("xl save rehomed /tmp/saved", { timeout: "2 minutes" });
      expect([save.status === 0, save.stderr.toString()]).toEqual([
        false,
        expect.stringContaining("Cannot save a guest with vNUMA configured"),
      ]);
      expect(yield* guest.check("echo here")).toBe("here\n");

      // It is destroyed while its memory moves, and nothing of it is left.
      yield* lab.dom0.check(
        `${rehome} ${domid} 0 forever >/tmp/moving 2>&1 & ` +
          "for i in $(seq 600); do grep -q ^moved /tmp/moving && exit 0; sleep 0.1; done; exit 1",
      );
      yield* lab.dom0.check("xl destroy rehomed", { timeout: "5 minutes" });
      yield* lab.dom0.check(
        "for i in $(seq 600); do pidof rehome-vnode >/dev/null || exit 0; sleep 0.1; done; exit 1",
      );
      expect(yield* lab.dom0.check("cat /tmp/moving")).toMatch(
        /^rehome-vnode: d\d+ to pnode [01], \d+ pages moved: .+$/m,
      );
      // What dom0 still has mapped of it goes last.
      yield* placement(lab, domid).pipe(
        Effect.delay("1 second"),
        Effect.repeat({ until: ({ pages }) => pages.length === 0, times: 60 }),
      );
      expect(yield* placement(lab, domid)).toEqual({ pages: [], pnodes: [] });
      expect(yield* lab.dom0.check("xl list")).not.toMatch(/\(null\)|rehomed/);
      expectAlike(pagesOf(yield* free), empty);
    }),
    minutes(30 + 8 * rounds),
  );
});
