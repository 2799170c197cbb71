/**
 * From a host, its guests and what an operator asks for to the list of steps
 * that does it, or to a refusal that says what is missing and where.
 * Pure: it reads nothing and changes nothing.
 *
 * A plan holds to this, whatever the host:
 *
 * - no step ever needs more memory on a pnode than it has free at that moment;
 * - what gives memory back goes before what takes it;
 * - only vnodes that a change names are touched, and their vCPUs follow them; those which make room are named by changes
 *   that the plan adds;
 * - a request for what is so already is refused, not silently done: a script sees the code.
 *
 * Planning is linear in the number of guests, vnodes and pnodes, save where vnodes
 * move against each other or look for another pnode: that search is bounded.
 *
 * @since 0.1.0
 */
import { Result } from "effect";
import { costOf } from "./Cost.ts";
import type { Guest } from "./Guest.ts";
import type { Host } from "./Host.ts";
import type { DomainId } from "./Ids.ts";
import { emit } from "./internal/Emit.ts";
import { groundOf } from "./internal/Ground.ts";
import { arrange } from "./internal/Placement.ts";
import { makeRoom } from "./internal/Room.ts";
import { checkChanges } from "./internal/Tasks.ts";
import { defaultLowTarget, type LowTargetParameters } from "./LowTarget.ts";
import type { Plan } from "./Plan.ts";
import type { PlanRefused } from "./PlanRefused.ts";
import type { Topology } from "./Topology.ts";
import type { TopologyChange } from "./TopologyChange.ts";
import { type InvalidTopology, validateSurveyed } from "./Validation.ts";

/** @since 0.1.0 */
export interface PlanOptions {
  /**
   * Whether a vnode that expands may go to another pnode when its own lacks memory; what
   * it kept when it left is moved along. Off unless asked for: it needs a hypervisor that moves memory.
   */
  readonly allowOtherPnode?: boolean;
  /**
   * Domains whose vnodes may go to another pnode where a change lacks memory; the plan's changes name those that do.
   * None unless asked for, as above.
   */
  readonly makeRoom?: ReadonlyArray<DomainId>;
  readonly lowTarget?: LowTargetParameters;
}

const isList = (
  changes: TopologyChange | ReadonlyArray<TopologyChange>,
): changes is ReadonlyArray<TopologyChange> => Array.isArray(changes);

/** The plan of these changes; where they lack memory, of these and of rehomes that make room. */
const planOf = (
  topology: Topology,
  changes: ReadonlyArray<TopologyChange>,
  { allowOtherPnode = false, lowTarget = defaultLowTarget, makeRoom: movable = [] }: PlanOptions,
): Result.Result<Plan, PlanRefused> =>
  Result.gen(function* () {
    const tasks = yield* checkChanges(topology, changes, lowTarget);
    const ground = groundOf(topology, tasks);
    const arrangement = arrange(ground, tasks, allowOtherPnode);
    if (Result.isFailure(arrangement) && arrangement.failure.code === "NO_MEMORY") {
      const rehomes = makeRoom(topology, ground, tasks, movable) ?? [];
      if (rehomes.length > 0) {
        const more = [...changes, ...rehomes];
        const roomier = planOf(topology, more, { allowOtherPnode, lowTarget });
        if (Result.isSuccess(roomier)) return roomier.success;
      }
    }
    const steps = emit(ground, yield* arrangement);
    return { changes, steps, cost: costOf(steps) };
  });

/**
 * Plans one change, or several as one plan.
 *
 * @since 0.1.0
 */
export const plan = (
  host: Host,
  guests: ReadonlyArray<Guest>,
  changes: TopologyChange | ReadonlyArray<TopologyChange>,
  options: PlanOptions = {},
): Result.Result<Plan, PlanRefused | InvalidTopology> =>
  Result.flatMap(validateSurveyed({ host, guests }), (topology) =>
    planOf(topology, isList(changes) ? changes : [changes], options),
  );
