/**
 * The one door to the addon, and its types. It is loaded when first asked for, so
 * that the package imports fine where it was not built; the addon in its turn opens
 * Xen's libraries at run time.
 */
import { createRequire } from "node:module";
import { Result } from "effect";
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

interface Native {
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

const load = (): Result.Result<Native, XenUnavailable> =>
  Result.try({
    try: () => createRequire(import.meta.url)("@virtflex/native-xen-control") as Native,
    catch: () =>
      new XenUnavailable({
        missing: "the addon of xen-control is not built",
        hint: "Build it: npx nx build @virtflex/native-xen-control",
      }),
  });

const hints: Readonly<Record<string, string>> = {
  ENOLIB: "Install Xen's library: apt install libxenstore4",
  ENOSTORE: "Run this in dom0 of a Xen host, with xenstored running, as root.",
};

const missing: Readonly<Record<string, string>> = {
  ENOSTORE: "xenstored does not answer",
};

/** Calls the addon; what it throws is what is missing. */
export const native = <A>(call: (addon: Native) => A): Result.Result<A, XenUnavailable> =>
  Result.flatMap(load(), (addon) =>
    Result.try({
      try: () => call(addon),
      catch: (cause) => {
        const { code = "", message } = cause as NodeJS.ErrnoException;
        const what = missing[code];
        return new XenUnavailable({
          missing: what === undefined ? message : `${what}: ${message}`,
          hint: hints[code] ?? "",
        });
      },
    }),
  );
