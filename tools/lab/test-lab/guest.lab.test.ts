import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import * as GuestConfig from "../src/GuestConfig.ts";
import { defaultGuest } from "../src/Lab.ts";
import { onLab } from "../src/Testing.ts";

const cpusOfNodes = "cat /sys/devices/system/node/node*/cpulist";
const memTotalKiB = "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo";

/** Repeats a look until it shows what it should, or the test's time is over. */
const until = <A, E, R>(look: Effect.Effect<A, E, R>, good: (value: A) => boolean) =>
  look.pipe(
    Effect.tap((value) => (good(value) ? Effect.void : Effect.sleep("500 millis"))),
    Effect.repeat({ until: good }),
  );

describe("a guest with vnodes", () => {
  it(
    "finds its vnodes and their distances by SRAT and SLIT",
    onLab(function* (lab) {
      const guest = yield* lab.guest();
      const { shape } = lab.status;
      const distances = yield* guest.check("cat /sys/devices/system/node/node*/distance");
      expect(
        distances
          .trim()
          .split("\n")
          .map((row) => row.split(" ").map(Number)),
      ).toEqual(shape.distances);
      const cpus = yield* guest.check(cpusOfNodes);
      expect(cpus.trim().split("\n")).toEqual(["0-1", "2-3", "4-5", "6-7"]);
      const memory = yield* guest.check(
        "sed -n 's/.*MemTotal: *\\([0-9]*\\) kB/\\1/p' /sys/devices/system/node/node*/meminfo",
      );
      for (const node of memory.trim().split("\n"))
        expect(Number(node)).toBeGreaterThan(200 * 1024);
    }),
  );

  it(
    "gets each vnode's memory from the vnode's pnode",
    onLab(function* (lab) {
      yield* lab.dom0.check("xl debug-keys u");
      const log = yield* until(lab.dom0.check("xl dmesg"), (text) =>
        /4 vnodes, 8 vcpus/.test(text),
      );
      const start = log.lastIndexOf("Memory location of each domain");
      const pages = [...log.slice(start).matchAll(/Node (\d): (\d+)/g)].slice(-4);
      for (const [, node, count] of pages) {
        expect([node, Number(count) > 80_000]).toEqual([node, true]);
      }
    }),
  );

  it(
    "loses vCPUs and gets them back, each on its node",
    onLab(function* (lab) {
      const guest = yield* lab.guest();
      const online = guest.check("cat /sys/devices/system/cpu/online");
      yield* lab.dom0.check(`xl vcpu-set ${defaultGuest} 4`);
      yield* until(online, (text) => text.trim() === "0-3");
      expect((yield* guest.check(cpusOfNodes)).split("\n").slice(0, 4)).toEqual([
        "0-1",
        "2-3",
        "",
        "",
      ]);
      yield* lab.dom0.check(`xl vcpu-set ${defaultGuest} 8`);
      // Nothing in the guest brings them online by itself: that is the kernel module's to do.
      const back = "for c in 4 5 6 7; do echo 1 >/sys/devices/system/cpu/cpu$c/online; done";
      yield* until(guest.run(back), ({ status }) => status === 0);
      yield* until(online, (text) => text.trim() === "0-7");
      expect((yield* guest.check(cpusOfNodes)).trim().split("\n")).toEqual([
        "0-1",
        "2-3",
        "4-5",
        "6-7",
      ]);
    }),
  );

  it(
    "gives memory back by Linux' balloon and takes it again",
    onLab(function* (lab) {
      const guest = yield* lab.guest();
      const total = Effect.map(guest.check(memTotalKiB), Number);
      const before = yield* total;
      yield* lab.dom0.check(`xl mem-set ${defaultGuest} 1528m`);
      yield* until(total, (now) => now <= before - 7 * 1024);
      yield* lab.dom0.check(`xl mem-set ${defaultGuest} 1536m`);
      yield* until(total, (now) => now === before);
    }),
  );

  it(
    "sees a key change in xenstore",
    onLab(function* (lab) {
      const guest = yield* lab.guest();
      const domid = (yield* lab.dom0.check(`xl domid ${defaultGuest}`)).trim();
      const key = `/local/domain/${domid}/data/smoke`;
      yield* guest.check("xenstore-write data/smoke before");
      const [seen] = yield* Effect.all(
        [
          // A watch fires once when it is set, then for the change.
          guest.check("xenstore-watch -n 2 data/smoke && xenstore-read data/smoke"),
          Effect.delay(lab.dom0.check(`xenstore-write ${key} after`), "3 seconds"),
        ],
        { concurrency: "unbounded" },
      );
      expect(seen.trim().split("\n")).toEqual(["data/smoke", "data/smoke", "after"]);
      yield* guest.check("xenstore-rm data/smoke");
    }),
  );

  it(
    "has the runtimes that programs need",
    onLab(function* (lab) {
      const guest = yield* lab.guest();
      yield* guest.check(
        "cd /usr/lib/x86_64-linux-gnu && for l in libgomp.so.1 libomp.so.5 libnuma.so.1; do " +
          "/lib64/ld-linux-x86-64.so.2 --list ./$l >/dev/null || exit 1; done",
      );
    }),
  );
});

describe("a second guest", () => {
  it(
    "runs beside the first, is told apart, shuts down, and is then gone",
    onLab(function* (lab) {
      const name = yield* lab.createGuest(
        'name = "second"\nmemory = 512\nmaxmem = 512\nvcpus = 2\nvnuma = [\n' +
          '["pnode=0", "size=256", "vcpus=0", "vdistances=10,20"],\n["pnode=3", "size=256", "vcpus=1", "vdistances=20,10"] ]\n',
      );
      expect(name).toBe("second");
      const [first, second] = [yield* lab.guest(), yield* lab.guest(name)];
      const nodes = "ls -d /sys/devices/system/node/node[0-9]* | wc -l";
      const [ofFirst, ofSecond] = yield* Effect.all([first.check(nodes), second.check(nodes)], {
        concurrency: "unbounded",
      });
      expect([ofFirst.trim(), ofSecond.trim()]).toEqual(["4", "2"]);
      yield* lab.dom0.check("xl shutdown -w second", { timeout: "3 minutes" });
      const error = yield* Effect.flip(second.run("true"));
      expect(error._tag).toBe("ConnectionLost");
      const none = yield* Effect.flip(lab.guest(name));
      expect(none._tag).toBe("NotRunning");
      expect(yield* first.check("echo here")).toBe("here\n");
    }),
  );

  it(
    "that never answers is not waited for longer than was asked",
    onLab(function* (lab) {
      const { text } = yield* GuestConfig.complete(
        'name = "silent"\nmemory = 256\nmaxmem = 256\nvcpus = 1\n',
      );
      const file = `${GuestConfig.bootDirectory}/silent.cfg`;
      yield* lab.dom0.push(Buffer.from(text), file);
      yield* lab.dom0.check(`xl create -p ${file}`);
      const error = yield* Effect.flip(lab.guest("silent", "2 seconds"));
      yield* lab.dom0.check("xl destroy silent");
      expect(error._tag).toBe("NotRunning");
      expect(error.message).toContain("does not answer");
    }),
  );

  it(
    "that does not boot is an error that shows its console, and is not left behind",
    onLab(function* (lab) {
      const error = yield* Effect.flip(
        lab.createGuest(
          'name = "broken"\nmemory = 256\nvcpus = 1\nextra = "console=hvc0 rdinit=/nonexistent panic=1"\n',
        ),
      );
      expect(error._tag).toBe("BootFailed");
      expect(error.message).toMatch(/Kernel panic - not syncing/);
      expect(yield* lab.dom0.check("xl list")).not.toContain("broken");
    }),
  );
});
