/**
 * What one step does, forward and back. Every step says the value that shall
 * be, not a difference, so doing it twice is doing it once.
 */
import { NumaKeys, type Step } from "@virtflex/topo-model";
import { Hypervisor, HypervisorError, type HypervisorFailure } from "@virtflex/xen-control";
import { Effect } from "effect";
import { DomainGone, MemoryKept } from "./ChangeError.ts";
import { ask, type OnStatus, takeBack, type UndoOptions } from "./Request.ts";

const namingTheGone = <A, E, R>(
  effect: Effect.Effect<A, E | HypervisorFailure, R>,
  { domain }: Step,
): Effect.Effect<A, E | HypervisorFailure | DomainGone, R> =>
  Effect.mapError(effect, (error) =>
    error instanceof HypervisorError && error.reason === "NoSuchDomain"
      ? new DomainGone({ domain })
      : error,
  );

/** A step that is the hypervisor's alone. */
const command = Effect.fnUntraced(function* (step: Exclude<Step, { _tag: "request" }>) {
  const hypervisor = yield* Hypervisor;
  const { domain } = step;
  switch (step._tag) {
    case "reserve":
      return yield* hypervisor.reserve(domain, step.pnode, step.reservedBytes.to);
    case "limit":
      return yield* hypervisor.setLimit(domain, step.limitBytes.to);
    case "pin":
      return yield* hypervisor.pinVcpus(domain, step.vcpus, step.pcpus.to);
    case "vcpus":
      return yield* hypervisor.setVcpusOnline(domain, step.vcpus, step.online.to);
    case "move":
      return yield* Effect.asVoid(hypervisor.moveVnode(domain, step.vnode, step.pnode.to));
  }
});

/** A guest that said it gave its memory back has to have done so, as exactly as it is held to, before it may not have it. */
const checkGivenBack = Effect.fnUntraced(function* (step: Extract<Step, { _tag: "limit" }>) {
  const hypervisor = yield* Hypervisor;
  const limitBytes = step.limitBytes.to;
  const { memoryBytes, vnuma } = yield* hypervisor.domain(step.domain);
  if (memoryBytes > limitBytes + vnuma.length * NumaKeys.toleranceBytes) {
    return yield* new MemoryKept({ domain: step.domain, heldBytes: memoryBytes, limitBytes });
  }
});

/** Does a step; `deadlineMs` is what is left of the change's time. */
export const perform = Effect.fn("Interpreter.perform")(function* (
  step: Step,
  deadlineMs: number,
  onStatus: OnStatus,
) {
  if (step._tag === "request") return yield* ask(step, deadlineMs, onStatus);
  if (step._tag === "limit") yield* checkGivenBack(step);
  return yield* command(step);
}, namingTheGone);

/**
 * Does the inverse of a step that was begun. A domain that is gone needs no
 * undoing: its resources went back with it.
 */
export const undo = Effect.fn("Interpreter.undo")(
  function* (inverse: Step, options: UndoOptions, onStatus: OnStatus) {
    if (inverse._tag === "request") return yield* takeBack(inverse, options, onStatus);
    yield* command(inverse);
    if (inverse._tag === "reserve") {
      yield* (yield* Hypervisor).setLimit(inverse.domain, inverse.limitBytes);
    }
  },
  namingTheGone,
  Effect.catchTag("DomainGone", () => Effect.void),
);
