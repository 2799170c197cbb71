/**
 * How long Xen takes to release 2 MiB of a running guest: a whole superpage, and a broken one. The baseline is the same memory page by
 * page, by the hypercall that takes single pages: that is what Xen without the patches does with a superpage, too. Takes a lab
 * (docs/lab.md), whose times are an emulator's: a TLB flush is far dearer there than on a machine.
 *
 *     npm run bench -- release [--json]
 */
import { GuestConfig, sharedLab, XenTests } from "@virtflex/lab";
import { Console, Effect } from "effect";
import { report } from "./Report.ts";

const extents = 4;

const guest = "released";

const bench = Effect.gen(function* () {
  const lab = yield* sharedLab("bench-release", (line) => Console.error(line));
  yield* Effect.acquireRelease(
    lab.createGuest(GuestConfig.standard(lab.status.shape, guest).text),
    () => Effect.ignore(lab.dom0.run(`xl destroy ${guest}`)),
  );
  const program = yield* XenTests.install(lab.dom0, "time-release");
  const domid = (yield* lab.dom0.check(`xl domid ${guest}`)).trim();
  const text = yield* lab.dom0.check(`${program} ${domid} ${String(extents)}`, {
    timeout: "30 minutes",
  });
  const ms = (name: string) => Number(new RegExp(`${name} (\\d+)`).exec(text)?.[1]) / 1e6;
  const pages = ms("pages");
  yield* report(
    "Releasing 2 MiB of a guest with 8 vCPUs, under emulation",
    [
      { name: "a whole superpage", value: ms("whole"), aim: "1,000 times as fast" },
      { name: "a broken superpage", value: ms("broken"), aim: "300 times as fast" },
    ].map((figure) => ({
      ...figure,
      value: pages / figure.value,
      unit: "times as fast",
      baseline: { name: "page by page", value: 1 },
    })),
  );
});

await Effect.runPromise(Effect.scoped(bench));
