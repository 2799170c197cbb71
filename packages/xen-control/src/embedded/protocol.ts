/**
 * What travels between an embedded host and its clients. A client connects
 * once and says for which domain it speaks; all that it holds, watches and
 * transactions, ends with its connection.
 */
import {
  Bytes,
  DomainId,
  Guest,
  Host,
  PcpuId,
  PnodeId,
  VcpuId,
  VnodeId,
} from "@virtflex/topo-model";
import { Schema } from "effect";
import { Rpc, RpcGroup } from "effect/rpc";
import { DomainInfo, HypervisorError, Moved } from "../Hypervisor.ts";
import { Permission, XenStoreError, XenUnavailable } from "../XenStore.ts";
import { Ballooned } from "./EmbeddedGuest.ts";
import { EmbeddedUsage } from "./EmbeddedHost.ts";

/** Raised with every change of what follows. */
export const protocolVersion = 1;

const storeError = Schema.Union([XenStoreError, XenUnavailable]);
const hypervisorError = Schema.Union([HypervisorError, XenUnavailable]);

/** A path, in the transaction of that number if there is one. */
const at = { path: Schema.String, transaction: Schema.optionalKey(Schema.Int) };
/** Numbered by the client, who can thus end one of which it never got an answer. */
const transaction = { transaction: Schema.Int };
const domain = { domain: DomainId };
const vcpus = { ...domain, vcpus: Schema.Array(VcpuId) };
const bytes = { bytes: Bytes };

/** The stream's one element says that the client is connected; it ends with the connection. */
export class Protocol extends RpcGroup.make(
  Rpc.make("Connect", {
    payload: { ...domain, version: Schema.Int },
    success: Schema.Literal("connected"),
    error: hypervisorError,
    stream: true,
  }),

  Rpc.make("Read", { payload: at, success: Schema.String, error: storeError }),
  Rpc.make("Write", { payload: { ...at, value: Schema.String }, error: storeError }),
  Rpc.make("List", { payload: at, success: Schema.Array(Schema.String), error: storeError }),
  Rpc.make("Remove", { payload: at, error: storeError }),
  Rpc.make("Permissions", { payload: at, success: Schema.Array(Permission), error: storeError }),
  Rpc.make("SetPermissions", {
    payload: { ...at, permissions: Schema.Array(Permission) },
    error: storeError,
  }),
  Rpc.make("Begin", { payload: transaction, error: storeError }),
  Rpc.make("Commit", { payload: transaction, error: storeError }),
  Rpc.make("Abort", { payload: transaction, error: storeError }),
  Rpc.make("Watch", {
    payload: { path: Schema.String },
    success: Schema.String,
    error: storeError,
    stream: true,
  }),

  Rpc.make("Host", { success: Host, error: hypervisorError }),
  Rpc.make("Domains", { success: Schema.Array(DomainInfo), error: hypervisorError }),
  Rpc.make("Domain", { payload: domain, success: DomainInfo, error: hypervisorError }),
  Rpc.make("SetVcpusOnline", {
    payload: { ...vcpus, online: Schema.Boolean },
    error: hypervisorError,
  }),
  Rpc.make("PinVcpus", {
    payload: { ...vcpus, pcpus: Schema.Array(PcpuId) },
    error: hypervisorError,
  }),
  Rpc.make("SetLimit", { payload: { ...domain, ...bytes }, error: hypervisorError }),
  Rpc.make("Reserve", {
    payload: { ...domain, pnode: PnodeId, ...bytes },
    error: hypervisorError,
  }),
  Rpc.make("MoveVnode", {
    payload: { ...domain, vnode: VnodeId, pnode: PnodeId },
    success: Moved,
    error: hypervisorError,
  }),

  Rpc.make("CreateGuest", { payload: { guest: Guest }, error: hypervisorError }),
  Rpc.make("DestroyGuest", { payload: domain, error: hypervisorError }),
  Rpc.make("Usage", { success: EmbeddedUsage, error: hypervisorError }),
  Rpc.make("Pause", { payload: domain, error: hypervisorError }),
  Rpc.make("Unpause", { payload: domain, error: hypervisorError }),
  Rpc.make("PauseAfter", { payload: { ...domain, ...bytes }, error: hypervisorError }),
  Rpc.make("LeaveFree", { payload: { pnode: PnodeId, ...bytes }, error: hypervisorError }),
  Rpc.make("ConflictNext", { payload: { commits: Schema.Int }, error: hypervisorError }),

  Rpc.make("OnlineVcpus", { success: Schema.Array(VcpuId), error: hypervisorError }),
  Rpc.make("HeldBytes", { payload: { vnode: VnodeId }, success: Bytes, error: hypervisorError }),
  Rpc.make("Populate", {
    payload: { vnode: VnodeId, ...bytes },
    success: Ballooned,
    error: hypervisorError,
  }),
  Rpc.make("Decrease", {
    payload: { vnode: VnodeId, ...bytes },
    success: Ballooned,
    error: hypervisorError,
  }),
) {}
