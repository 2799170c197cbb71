/**
 * Reads keys of xenstore that may be absent, or may hold anything at all.
 */
import { type DomainId, NumaKeys } from "@virtflex/topo-model";
import { XenStore, type XenStoreFailure, type XenStoreOps } from "@virtflex/xen-control";
import { Effect, Result } from "effect";

const absent = <A>(effect: Effect.Effect<A, XenStoreFailure>, none: NoInfer<A>) =>
  Effect.catchIf(
    effect,
    (error) => error._tag === "XenStoreError" && error.errno === "ENOENT",
    () => Effect.succeed(none),
  );

/** The value of a key, or undefined where there is none. */
export const readOptional = (store: XenStoreOps, path: string) =>
  absent<string | undefined>(store.read(path), undefined);

/** The children of a key; none where there is no such key. */
export const listOptional = (store: XenStoreOps, path: string) =>
  absent<ReadonlyArray<string>>(store.list(path), []);

/** A value of its grammar; undefined where there is none, or another. */
export const parseOptional = <A>(
  store: XenStoreOps,
  path: string,
  parse: (text: string) => NumaKeys.Parsed<A>,
) =>
  Effect.map(readOptional(store, path), (text) =>
    text === undefined ? undefined : Result.getOrUndefined(parse(text)),
  );

/** The same for a key below a domain's directory. */
export const readKey = Effect.fnUntraced(function* <A>(
  domain: DomainId,
  key: string,
  parse: (text: string) => NumaKeys.Parsed<A>,
) {
  return yield* parseOptional(yield* XenStore, NumaKeys.at(domain, key), parse);
});

/** Whether a guest says that it understands the contract. */
export const isAware = Effect.fnUntraced(function* (domain: DomainId) {
  const store = yield* XenStore;
  const text = yield* readOptional(store, NumaKeys.at(domain, NumaKeys.path.feature));
  return text === NumaKeys.contractVersion;
});
