/**
 * A lab whose meter counts the walker (`numa-meter/test/walk.c`) in one chosen PVH guest on Xen.
 *
 * @since 0.1.0
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Effect } from "effect";
import * as Lab from "../Lab.ts";
import * as Shape from "../Shape.ts";
import * as Stage from "../Stage.ts";
import { meterStage } from "../stages.ts";
import { choose } from "./Choice.ts";
import { type Walk, walkerOnly, walkPairs } from "./KnownTruth.ts";
import { ask } from "./Meter.ts";
import { socketOf } from "./Plugin.ts";
import { misses } from "./Reading.ts";

/** Beside the guest that is counted. */
const otherGuest = `name = "other"
memory = 256
maxmem = 256
vcpus = 1
cpus = ["0"]
vnuma = [ ["pnode=0", "size=256", "vcpus=0", "vdistances=10"] ]
`;

/**
 * Walks each pair of vnodes of the chosen guest; and, for what must not be counted, in that guest before it is chosen, in another guest
 * and in dom0: `others` is the misses of these three.
 *
 * @since 0.1.0
 */
export const check = Effect.fn("PvhGuest.check")(function* (
  size: Walk,
  report: (line: string) => Effect.Effect<void>,
) {
  const shape = yield* Shape.make({});
  const { meter } = yield* Stage.ensure({ meter: meterStage }, () => Effect.void);
  const lab = yield* Lab.up({
    name: `meter-${String(process.pid)}`,
    shape,
    flavour: { xen: "release" },
    accelerator: "auto",
    meter: [...walkerOnly, "guest=chosen"],
    report,
  });
  yield* Lab.startGuest(lab, report);
  yield* lab.createGuest(otherGuest);
  const socket = socketOf(lab.status.state);
  const walker = readFileSync(join(meter, "walk"));
  const walk = (host: Lab.Host, cpu: number, node: number) =>
    host.check(`/root/walk ${[cpu, node, size.mib, size.passes].map(String).join(" ")}`);
  const counted = Effect.fnUntraced(function* (host: Lab.Host) {
    yield* walk(host, 0, 0);
    return misses(yield* ask(socket, "read"))
      .flat()
      .reduce((sum, count) => sum + count, 0);
  });
  const guest = yield* lab.guest();
  const other = yield* lab.guest("other");
  for (const host of [guest, other, lab.dom0]) yield* host.push(walker, "/root/walk", "755");
  const before = yield* counted(guest);
  yield* choose(socket, guest);
  const others = before + (yield* counted(other)) + (yield* counted(lab.dom0));
  const cpusPerVnode = shape.cpus / shape.nodes;
  const walked = yield* walkPairs(shape.nodes, socket, size, (from, to) =>
    walk(guest, from * cpusPerVnode, to),
  );
  return { others, walked };
});
