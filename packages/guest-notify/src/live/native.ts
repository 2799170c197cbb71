/**
 * The one door to the addon, and its types. It is loaded when first asked for,
 * so that the package imports fine where it was not built.
 */
import { createRequire } from "node:module";
import { Effect, Result } from "effect";
import { PageError, type PageReason } from "../PageError.ts";

interface NativePublisher {
  /** The page that it found was left half-written, and nothing was published since. */
  readonly torn: boolean;
  readonly generation: bigint;
  read(): Buffer;
  publish(page: Uint8Array, generation: bigint): void;
  close(): void;
}

interface NativeReader {
  readonly kernel: boolean;
  readonly fd: number;
  generation(): bigint;
  copy(): Buffer;
  acknowledge(generation: bigint): void;
  close(): void;
}

interface NativeWaiter {
  close(): void;
}

interface Native {
  readonly Publisher: new (path: string) => NativePublisher;
  readonly Reader: new (path: string) => NativeReader;
  readonly Waiter: new (source: string | number, callback: (gone: boolean) => void) => NativeWaiter;
  readonly scanRuntimes: (directory: string) => {
    readonly pending: boolean;
    readonly published: { readonly generation: bigint; readonly nanos: bigint };
    readonly runtimes: ReadonlyArray<{ readonly pid: number; readonly generation: bigint }>;
  };
  /** Offsets, sizes and values of topology_page.h, as the compiler has them. */
  readonly layout: Readonly<Record<string, number>>;
}

const reasons: Readonly<Record<string, PageReason>> = {
  ENOENT: "absent",
  EEXIST: "not-a-page",
  EINVAL: "not-a-page",
  EPERM: "insecure",
  EBUSY: "published-elsewhere",
  EAGAIN: "busy",
};

const load = Result.try(
  () => createRequire(import.meta.url)("@virtflex/native-guest-notify") as Native,
);

/** Calls the addon; `path` is what an error names. */
export const native = <A>(path: string, call: (addon: Native) => A): Effect.Effect<A, PageError> =>
  Effect.try({
    try: () => call(Result.getOrThrowWith(load, (cause) => cause)),
    catch: (cause) => {
      const error = cause as NodeJS.ErrnoException;
      const reason = reasons[error.code ?? ""] ?? "io";
      return new PageError({ path, reason, detail: error.message });
    },
  });
