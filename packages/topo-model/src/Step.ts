/**
 * A plan is a list of steps; each step names the value before and the value
 * after, so that its inverse is the same step with the two exchanged.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";
import { Desired } from "./Guest.ts";
import { Bytes, DomainId, PcpuId, PnodeId, VcpuId, VnodeId } from "./Ids.ts";

const change = <S extends Schema.Top>(value: S) => Schema.Struct({ from: value, to: value });

/**
 * Memory of a pnode set aside for a domain, so that nobody else takes it meanwhile.
 * Balloon-ins and moves of the domain consume it, so a closing step from 0 to 0
 * returns what a guest that stopped within its tolerance has left of it.
 *
 * @since 0.1.0
 */
export const ReserveStep = Schema.TaggedStruct("reserve", {
  domain: DomainId,
  pnode: PnodeId,
  reservedBytes: change(Bytes),
  /** What the domain may hold meanwhile. Xen claims nothing above that and has it raised for a moment; to undo the step sets it again. */
  limitBytes: Bytes,
});

/** The most memory that the domain may hold (maxmem). @since 0.1.0 */
export const LimitStep = Schema.TaggedStruct("limit", {
  domain: DomainId,
  limitBytes: change(Bytes),
});

/** Hard affinity of vCPUs. @since 0.1.0 */
export const PinStep = Schema.TaggedStruct("pin", {
  domain: DomainId,
  vcpus: Schema.Array(VcpuId),
  pcpus: change(Schema.Array(PcpuId)),
});

/** `cpu/<n>/availability`: whether the guest may use the vCPUs. @since 0.1.0 */
export const VcpusStep = Schema.TaggedStruct("vcpus", {
  domain: DomainId,
  vcpus: Schema.Array(VcpuId),
  online: change(Schema.Boolean),
});

/** The operations of `numa/request`. `cancel` is the pipeline's own. @since 0.1.0 */
export const RequestOp = Schema.Literals(["expand", "shrink", "rehome", "resize"]);
export type RequestOp = typeof RequestOp.Type;

/**
 * One request to the guest: targets and desired states of vnodes, written before
 * it, then awaited until the guest says done or failed.
 *
 * @since 0.1.0
 */
export const RequestStep = Schema.TaggedStruct("request", {
  domain: DomainId,
  op: change(RequestOp),
  vnodes: Schema.Array(
    Schema.Struct({
      vnode: VnodeId,
      pnode: change(PnodeId),
      targetBytes: change(Bytes),
      desired: change(Desired),
    }),
  ),
  /** What the domain should hold in all (`memory/target`), set when the guest is done; absent where it stays. */
  targetBytes: Schema.optionalKey(change(Bytes)),
});
export type RequestStep = typeof RequestStep.Type;

/** The hypervisor moves a vnode's memory between pnodes while the guest runs. @since 0.1.0 */
export const MoveStep = Schema.TaggedStruct("move", {
  domain: DomainId,
  vnode: VnodeId,
  bytes: Bytes,
  pnode: change(PnodeId),
});

/** @since 0.1.0 */
export const Step = Schema.Union([
  ReserveStep,
  LimitStep,
  PinStep,
  VcpusStep,
  RequestStep,
  MoveStep,
]);
export type Step = typeof Step.Type;

const exchanged = <A>({ from, to }: { readonly from: A; readonly to: A }) => ({
  from: to,
  to: from,
});

/**
 * The step that undoes a step. Steps are undone in the reverse of their order:
 * `steps.toReversed().map(inverse)`.
 *
 * @since 0.1.0
 */
export const inverse = (step: Step): Step => {
  switch (step._tag) {
    case "reserve":
      return { ...step, reservedBytes: exchanged(step.reservedBytes) };
    case "limit":
      return { ...step, limitBytes: exchanged(step.limitBytes) };
    case "pin":
      return { ...step, pcpus: exchanged(step.pcpus) };
    case "vcpus":
      return { ...step, online: exchanged(step.online) };
    case "move":
      return { ...step, pnode: exchanged(step.pnode) };
    case "request": {
      const vnodes = step.vnodes.map(({ vnode, pnode, targetBytes, desired }) => ({
        vnode,
        pnode: exchanged(pnode),
        targetBytes: exchanged(targetBytes),
        desired: exchanged(desired),
      }));
      const { targetBytes } = step;
      return {
        ...step,
        op: exchanged(step.op),
        vnodes,
        ...(targetBytes && { targetBytes: exchanged(targetBytes) }),
      };
    }
  }
};
