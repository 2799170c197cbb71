/**
 * Why a change did not come about, and what state it left.
 *
 * @since 0.1.0
 */
import { Bytes, DomainId, NumaKeys, VnodeId } from "@virtflex/topo-model";
import { HypervisorError, XenStoreError, XenUnavailable } from "@virtflex/xen-control";
import { Schema } from "effect";
import { Owner } from "./Controller.ts";

/** The guest answered `failed`. @since 0.1.0 */
export class GuestRefused extends Schema.TaggedError<GuestRefused>()("GuestRefused", {
  domain: DomainId,
  request: Schema.Int,
  reason: NumaKeys.FailureCode,
}) {
  readonly code = "GUEST_REFUSED";
  override get message(): string {
    return `Domain ${this.domain} failed request ${this.request}: ${this.reason}`;
  }
}

/** The guest answered `cancelled` to a request that nobody cancelled. @since 0.1.0 */
export class GuestCancelled extends Schema.TaggedError<GuestCancelled>()("GuestCancelled", {
  domain: DomainId,
  request: Schema.Int,
}) {
  readonly code = "GUEST_CANCELLED";
  override get message(): string {
    return `Domain ${this.domain} cancelled request ${this.request}`;
  }
}

/** The guest took up a request and then answered neither it nor its cancellation. @since 0.1.0 */
export class GuestSilent extends Schema.TaggedError<GuestSilent>()("GuestSilent", {
  domain: DomainId,
  request: Schema.Int,
}) {
  readonly code = "GUEST_SILENT";
  override get message(): string {
    return `Domain ${this.domain} began request ${this.request} and no longer answers`;
  }
}

/** The guest says done, and its own figures say otherwise. @since 0.1.0 */
export class TargetMissed extends Schema.TaggedError<TargetMissed>()("TargetMissed", {
  domain: DomainId,
  vnode: VnodeId,
  targetBytes: Bytes,
  /** Absent: the guest gives no figure, or none of the grammar. */
  actualBytes: Schema.optionalKey(Bytes),
  state: Schema.optionalKey(NumaKeys.NodeState),
}) {
  readonly code = "TARGET_MISSED";
  override get message(): string {
    const actual =
      this.actualBytes === undefined
        ? "reports nothing readable"
        : `has ${this.actualBytes} bytes and is ${this.state ?? "in no known state"}`;
    return `Domain ${this.domain} says done, but vnode ${this.vnode} ${actual}; its target is ${this.targetBytes} bytes`;
  }
}

/** The guest says done, and the hypervisor sees it hold more than it may. @since 0.1.0 */
export class MemoryKept extends Schema.TaggedError<MemoryKept>()("MemoryKept", {
  domain: DomainId,
  heldBytes: Bytes,
  limitBytes: Bytes,
}) {
  readonly code = "MEMORY_KEPT";
  override get message(): string {
    return `Domain ${this.domain} still holds ${this.heldBytes} bytes; its limit was to become ${this.limitBytes}`;
  }
}

/** @since 0.1.0 */
export class DeadlinePassed extends Schema.TaggedError<DeadlinePassed>()("DeadlinePassed", {
  deadlineMs: Schema.Finite,
}) {
  readonly code = "DEADLINE_PASSED";
  override get message(): string {
    return `The change was not done within ${this.deadlineMs} ms`;
  }
}

/** The domain was destroyed. @since 0.1.0 */
export class DomainGone extends Schema.TaggedError<DomainGone>()("DomainGone", {
  domain: DomainId,
}) {
  readonly code = "DOMAIN_GONE";
  override get message(): string {
    return `Domain ${this.domain} is gone`;
  }
}

/** Why one step failed. @since 0.1.0 */
export const StepError = Schema.Union([
  GuestRefused,
  GuestCancelled,
  GuestSilent,
  TargetMissed,
  MemoryKept,
  DeadlinePassed,
  DomainGone,
  XenStoreError,
  HypervisorError,
  XenUnavailable,
]);
export type StepError = typeof StepError.Type;

/** What became of the steps that had been begun. @since 0.1.0 */
export const Rollback = Schema.Struct({
  /** Steps of the plan whose inverse ran, in the order in which it did. */
  undone: Schema.Array(Schema.Int),
  /** Steps of the plan whose inverse failed. */
  left: Schema.Array(Schema.Struct({ index: Schema.Int, error: StepError })),
});
export type Rollback = typeof Rollback.Type;

/** A step failed; what had been begun was undone as far as it could be. @since 0.1.0 */
export class ChangeFailed extends Schema.TaggedError<ChangeFailed>()("ChangeFailed", {
  /** Which step of the plan, from 0. */
  index: Schema.Int,
  error: StepError,
  rollback: Rollback,
}) {
  /** The stable code of what failed. */
  get code(): string {
    return this.error.code;
  }
  /** Whether everything is as before the change. */
  get rolledBack(): boolean {
    return this.rollback.left.length === 0;
  }
  override get message(): string {
    const { left } = this.rollback;
    const after =
      left.length === 0
        ? "Everything is as before."
        : `Not undone: ${left.map(({ index, error }) => `step ${index + 1} (${error.message})`).join("; ")}.`;
    return `Step ${this.index + 1}: ${this.error.message}. ${after}`;
  }
}

/** No change can be asked of the guest: it does not understand the contract. @since 0.1.0 */
export class GuestUnaware extends Schema.TaggedError<GuestUnaware>()("GuestUnaware", {
  domain: DomainId,
}) {
  readonly code = "GUEST_UNAWARE";
  override get message(): string {
    return `Domain ${this.domain} has no Virtflex guest side (control/feature-virtflex is not 1): start it there`;
  }
}

/** Another change holds the domain. @since 0.1.0 */
export class ChangeInProgress extends Schema.TaggedError<ChangeInProgress>()("ChangeInProgress", {
  domain: DomainId,
  owner: Owner,
}) {
  readonly code = "CHANGE_IN_PROGRESS";
  override get message(): string {
    return `Domain ${this.domain} is being changed by process ${this.owner.pid}; wait for it, or stop it`;
  }
}

/** The journal of a change can't be read: somebody else wrote there. @since 0.1.0 */
export class JournalDamaged extends Schema.TaggedError<JournalDamaged>()("JournalDamaged", {
  path: Schema.String,
  detail: Schema.String,
  /** Absent where not even they can be read. */
  domains: Schema.optionalKey(Schema.Array(DomainId)),
}) {
  readonly code = "JOURNAL_DAMAGED";
  override get message(): string {
    return `The journal ${this.path} can't be read: ${this.detail}. Look at the domain, then remove it`;
  }
}

/** A dead controller's change is to be undone first; what was planned meanwhile is void. @since 0.1.0 */
export class LeftBehind extends Schema.TaggedError<LeftBehind>()("LeftBehind", {
  domains: Schema.Array(DomainId),
  path: Schema.String,
}) {
  readonly code = "CHANGE_LEFT_BEHIND";
  override get message(): string {
    return `A change of domain ${this.domains.join(", ")} was left behind (${this.path}); undo it and plan again`;
  }
}

/** Another change came between the survey and this one: nothing was done; to be planned again. @since 0.1.0 */
export class PlanStale extends Schema.TaggedError<PlanStale>()("PlanStale", {
  domain: DomainId,
  what: Schema.String,
}) {
  readonly code = "PLAN_STALE";
  override get message(): string {
    return `Domain ${this.domain} was changed while this change was planned (${this.what}); plan again`;
  }
}

/** A change that a dead controller left on the domain can't be undone. @since 0.1.0 */
export class RecoveryFailed extends Schema.TaggedError<RecoveryFailed>()("RecoveryFailed", {
  domains: Schema.Array(DomainId),
  rollback: Rollback,
}) {
  readonly code = "RECOVERY_FAILED";
  override get message(): string {
    const why = this.rollback.left.map(({ error }) => error.message).join("; ");
    return `An earlier change of domain ${this.domains.join(", ")} was left behind and can't be undone: ${why}`;
  }
}
