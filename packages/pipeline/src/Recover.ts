/**
 * Undoes changes whose controller died before it could commit or undo them.
 *
 * @since 0.1.0
 */
import type { DomainId } from "@virtflex/topo-model";
import { Effect } from "effect";
import { ChangeInProgress, RecoveryFailed, type Rollback } from "./ChangeError.ts";
import { Controller } from "./Controller.ts";
import * as Journal from "./Journal.ts";
import type { OnProgress } from "./Reporter.ts";
import { rollBack, type UndoLimits } from "./Rollback.ts";

/** A change that was undone for its dead controller. @since 0.1.0 */
export interface Recovered {
  readonly domains: ReadonlyArray<DomainId>;
  readonly rollback: Rollback;
}

/** Undoes one change that nobody works on; undefined if somebody else does so now. */
export const recoverJournal = Effect.fn("Recover.recoverJournal")(function* (
  path: string,
  limits: UndoLimits,
  onProgress: OnProgress,
) {
  const journal = yield* Journal.takeOver(path);
  if (journal === undefined) return undefined;
  const rollback = yield* rollBack(journal, limits, onProgress);
  return { domains: journal.domains, rollback } satisfies Recovered;
}, Effect.uninterruptible);

/**
 * Changes that were begun and neither committed nor undone, each with whether
 * its controller still lives.
 *
 * @since 0.1.0
 */
export const openChanges = Effect.gen(function* () {
  const controller = yield* Controller;
  return yield* Effect.forEach(
    yield* Journal.journals,
    Effect.fnUntraced(function* (journal) {
      const controllerIs =
        journal.owner === undefined ? "gone" : yield* controller.liveness(journal.owner);
      return { ...journal, controllerIs };
    }),
  );
}).pipe(Effect.withSpan("openChanges"));

/**
 * Undoes every change, of one domain or of all, whose controller is gone.
 * Whatever a controller had not committed is brought back to before it.
 *
 * @since 0.1.0
 */
export const recover = Effect.fn("recover")(function* (options: {
  readonly domain?: DomainId;
  readonly limits: UndoLimits;
  readonly onProgress: OnProgress;
}) {
  const { domain, limits, onProgress } = options;
  const recovered: Array<Recovered> = [];
  for (const { path, domains, controllerIs } of yield* openChanges) {
    if (controllerIs !== "gone") continue;
    if (domain !== undefined && !domains.includes(domain)) continue;
    const one = yield* recoverJournal(path, limits, onProgress);
    if (one !== undefined) recovered.push(one);
  }
  return recovered;
});

/**
 * Makes sure that a domain can be surveyed and changed: undoes what a dead
 * controller left there (`RecoveryFailed` if it can't be), and refuses while a
 * living one is at work (`ChangeInProgress`).
 *
 * @since 0.1.0
 */
export const prepare = Effect.fn("prepare")(function* (
  domain: DomainId,
  limits: UndoLimits,
  onProgress: OnProgress,
) {
  for (const { path, domains, owner, controllerIs } of yield* openChanges) {
    if (!domains.includes(domain)) continue;
    if (owner !== undefined && controllerIs !== "gone") {
      return yield* new ChangeInProgress({ domain, owner });
    }
    const recovered = yield* recoverJournal(path, limits, onProgress);
    if (recovered !== undefined && recovered.rollback.left.length > 0) {
      return yield* new RecoveryFailed(recovered);
    }
  }
});
