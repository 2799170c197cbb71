/**
 * From what the guest is to what it shall be. The same way leads forward, to
 * what the host desires, and back, to what was before:
 *
 *   evacuating   nodes that will be offline are marked as being left; runtimes leave
 *   resizing     memory goes out where there is too much, then comes in where there is too little
 *   settling     nodes are online or offline as they shall be; runtimes spread
 *
 * Runtimes are waited for, but not for ever: one in a long serial part must not
 * hold up the host. What it has not left by then, its kernel takes from it.
 */
import { NumaKeys, type VnodeId } from "@virtflex/topo-model";
import { Duration, Effect, Stream } from "effect";
import { Balloon } from "../Balloon.ts";
import type { PortFailure } from "../GuestStore.ts";
import type { PageError } from "../PageError.ts";
import { countAdapted, RuntimeRegistry } from "../RuntimeRegistry.ts";
import type { GuestState } from "./GuestState.ts";
import { RequestFailed } from "./RequestFailed.ts";

export type Goal = ReadonlyMap<
  VnodeId,
  { readonly state: "online" | "offline"; readonly bytes: number }
>;

/** One batch of the balloon: 512 extents of 2 MiB, as many frame numbers as one page holds. */
const batchBytes = 2 ** 30;

/** How long a balloon may stand still before its request fails; pauses grow to the last of these. */
const pausesMs = [5, 10, 20, 40, 80, 160, 320, 640, 725];

const unpublished = ({ message }: PageError) =>
  Effect.fail(new RequestFailed({ reason: "publish", detail: message }));

interface Direction {
  readonly missing: (actual: number, target: number) => number;
  readonly move: (vnode: VnodeId, bytes: number) => Effect.Effect<number, PortFailure>;
  readonly sign: 1 | -1;
  readonly reason: NumaKeys.FailureCode;
}

const resizeNode = Effect.fn("Transition.resizeNode")(function* (
  guest: GuestState,
  { missing, move, sign, reason }: Direction,
  vnode: VnodeId,
  target: number,
) {
  const balloon = yield* Balloon;
  const failed = (detail: string) => new RequestFailed({ reason, detail });
  const refused = Effect.mapError(({ message }: PortFailure) => failed(message));
  let actual = yield* refused(balloon.actual(vnode));
  let pauses = 0;
  for (;;) {
    guest.set(vnode, { actualBytes: actual });
    const rest = missing(actual, target);
    if (rest <= 0) return;
    const moved = yield* refused(move(vnode, Math.min(rest, batchBytes)));
    if (moved > 0) {
      actual += sign * moved;
      pauses = 0;
      if (missing(actual, target) > 0) yield* guest.writeNodes;
      continue;
    }
    if (rest <= NumaKeys.toleranceBytes) return;
    const pause = pausesMs[pauses++];
    if (pause === undefined) {
      return yield* failed(`vnode ${vnode} is ${rest} bytes from its target, and stays there`);
    }
    yield* Effect.sleep(Duration.millis(pause));
  }
});

/** Until every runtime has acknowledged the generation, or the grace is over. */
const awaitRuntimes = Effect.fn("Transition.awaitRuntimes")(function* (
  generation: bigint,
  graceMs: number,
) {
  const registry = yield* RuntimeRegistry;
  yield* registry.changes.pipe(
    Stream.filter((now) => countAdapted(now, generation) === now.runtimes.length),
    Stream.runHead,
    Effect.timeoutOption(Duration.millis(graceMs)),
    Effect.catchTag("PageError", unpublished),
  );
});

/** Goes there, telling each state on entering it. Interrupted or failed, it stays where it is. */
export const transition = Effect.fn("Transition.transition")(function* <E>(
  guest: GuestState,
  goal: Goal,
  graceMs: number,
  tell: (state: NumaKeys.ProgressState) => Effect.Effect<void, E>,
) {
  const balloon = yield* Balloon;
  /** Publishes the states, and waits for runtimes if they have to adapt to them. */
  const enter = Effect.fnUntraced(function* (
    states: Iterable<readonly [VnodeId, NumaKeys.NodeState]>,
    told: NumaKeys.ProgressState,
  ) {
    const before = guest.generation;
    for (const [vnode, state] of states) guest.set(vnode, { state });
    const after = yield* Effect.catchTag(guest.publish, "PageError", unpublished);
    yield* tell(told);
    if (after !== before) yield* awaitRuntimes(after, graceMs);
  });

  const leaving = [...goal.keys()].filter(
    (vnode) =>
      goal.get(vnode)?.state === "offline" && guest.statuses.get(vnode)?.state !== "offline",
  );
  if (leaving.length > 0) {
    yield* enter(
      leaving.map((vnode) => [vnode, "evacuating"] as const),
      "evacuating",
    );
  }

  yield* tell("resizing");
  const out: Direction = {
    missing: (actual, target) => actual - target,
    move: balloon.balloonOut,
    sign: -1,
    reason: "busy",
  };
  const into: Direction = {
    missing: (actual, target) => target - actual,
    move: balloon.balloonIn,
    sign: 1,
    reason: "no-memory",
  };
  // Out first, so that the domain never holds more than before or after.
  for (const direction of [out, into]) {
    for (const [vnode, { bytes }] of goal) yield* resizeNode(guest, direction, vnode, bytes);
  }

  yield* enter(
    [...goal].map(([vnode, { state }]) => [vnode, state] as const),
    "settling",
  );
});
