/**
 * The one door to the addon, and its types. It is loaded when first asked for, so
 * that the package imports fine where it was not built; the addon in its turn opens
 * Xen's libraries at run time.
 */
import { createRequire } from "node:module";
import { Effect, Result } from "effect";
import { XenUnavailable } from "../XenStore.ts";

/** The numbers of StoreOp in native/xen-control/src/store_worker.h. */
export const storeOp = {
  read: 0,
  write: 1,
  list: 2,
  remove: 3,
  permissions: 4,
  setPermissions: 5,
  begin: 6,
  end: 7,
  watch: 8,
  unwatch: 9,
} as const;

/** A connection to xenstored. */
export interface NativeStore {
  submit(
    id: number,
    op: number,
    transaction: number,
    path: string,
    value: string,
    permissions: ReadonlyArray<number>,
  ): void;
  close(): void;
}

/** The host as the hypervisor describes it. */
export interface NativeHost {
  readonly nodes: ReadonlyArray<{
    readonly id: number;
    readonly sizeBytes: number;
    readonly freeBytes: number;
  }>;
  readonly cpus: ReadonlyArray<{ readonly id: number; readonly node: number }>;
  /** Row by row, as the nodes are listed. */
  readonly distances: ReadonlyArray<number>;
}

export interface NativeDomain {
  readonly id: number;
  readonly paused: boolean;
  readonly dying: boolean;
  readonly heldBytes: number;
  readonly limitBytes: number;
  /** Kept for it by a claim, and not held yet. */
  readonly claimedBytes: number;
  readonly vcpus: ReadonlyArray<{
    readonly id: number;
    readonly online: boolean;
    readonly affinity: ReadonlyArray<number>;
    readonly softAffinity: ReadonlyArray<number>;
  }>;
  /** By their ids; none without virtual NUMA. */
  readonly vnodes: ReadonlyArray<{
    readonly sizeBytes: number;
    readonly vcpus: ReadonlyArray<number>;
  }>;
  readonly distances: ReadonlyArray<number>;
}

export interface Native {
  /** Ends the connection to the hypervisor; who asks next opens another. */
  close(): Promise<void>;
  host(): Promise<NativeHost>;
  /** All but dom0. */
  domains(): Promise<ReadonlyArray<NativeDomain>>;
  /** The one, if it is there. */
  domain(id: number): Promise<ReadonlyArray<NativeDomain>>;
  /** By the ids of the nodes; empty where the running Xen can't tell. It walks all the domain's memory. */
  residentBytes(id: number): Promise<ReadonlyArray<number>>;
  pin(domain: number, vcpu: number, cpus: ReadonlyArray<number>): Promise<void>;
  setLimit(domain: number, bytes: number): Promise<void>;
  /** Keeps so much for the domain beside what it holds, instead of what was kept. */
  claim(domain: number, bytes: number): Promise<void>;
  /**
   * Moves about `pages` pages of a vnode to a node, from the first page that is not below
   * `next` on; `next` of the answer says where to go on, and is absent when nothing is left.
   */
  move(
    domain: number,
    vnode: number,
    node: number,
    next: number,
    pages: number,
  ): Promise<{
    readonly next?: number;
    readonly movedPages: number;
    readonly skippedPages: number;
  }>;
  /** Has what the vnode gets from now on come from the node. */
  setVnodeNode(domain: number, vnode: number, node: number): Promise<void>;
  readonly Store: new (
    /** For each `submit`: the errno's name, or "". */
    answer: (
      id: number,
      errno: string,
      transaction: number,
      strings: ReadonlyArray<Buffer>,
      permissions: ReadonlyArray<number>,
    ) => void,
    /** For each watch with news: its token, and paths; none when there were too many. */
    event: (token: string, paths: ReadonlyArray<Buffer>) => void,
    /** xenstored closed the connection. */
    lost: () => void,
  ) => NativeStore;
}

let loaded: Native | undefined;

const load = (): Result.Result<Native, XenUnavailable> =>
  Result.try({
    try: () =>
      (loaded ??= createRequire(import.meta.url)("@virtflex/native-xen-control") as Native),
    catch: () =>
      new XenUnavailable({
        missing: "the addon of xen-control is not built",
        hint: "Build it: npx nx build @virtflex/native-xen-control",
      }),
  });

/** What each code of the addon's own says is missing, before its message, and what helps. */
const lacks: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ENOLIB: ["", "Install Xen's libraries: apt install libxenstore4 libxenmisc4.17"],
  ENOSTORE: [
    "xenstored does not answer: ",
    "Run this in dom0 of a Xen host, with xenstored running, as root.",
  ],
  ENOXEN: ["no hypervisor answers: ", "Run this in dom0 of a Xen host, as root."],
  EVERSION: ["", "Virtflex drives Xen 4.17, with the libraries of the Xen that runs."],
};

/** The addon's "there is no Xen", if the error is that. */
export const unavailable = (error: NodeJS.ErrnoException): XenUnavailable | undefined => {
  const lack = lacks[error.code ?? ""];
  return lack && new XenUnavailable({ missing: `${lack[0]}${error.message}`, hint: lack[1] });
};

/** Calls the addon; what it throws is what is missing. */
export const native = <A>(call: (addon: Native) => A): Result.Result<A, XenUnavailable> =>
  Result.flatMap(load(), (addon) =>
    Result.try({
      try: () => call(addon),
      catch: (cause) => {
        const error = cause as NodeJS.ErrnoException;
        return unavailable(error) ?? new XenUnavailable({ missing: error.message, hint: "" });
      },
    }),
  );

/** Ends the connection to the hypervisor, if there is one. */
export const closeHypervisor: Effect.Effect<void> = Effect.promise(async () => loaded?.close());
