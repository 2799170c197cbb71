/**
 * Undoes changes whose controller died before it could commit or undo them.
 *
 * @since 0.1.0
 */
import type { DomainId } from "@virtflex/topo-model";
import { Array, Effect } from "effect";
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
 * its controller still lives; and journals that can't be read.
 *
 * @since 0.1.0
 */
export const openChanges = Effect.gen(function* () {
  const controller = yield* Controller;
  const [journals, damaged] = Array.separate(yield* Journal.journals);
  const changes = yield* Effect.forEach(
    journals,
    Effect.fnUntraced(function* (journal) {
      const controllerIs =
        journal.owner === undefined ? "gone" : yield* controller.liveness(journal.owner);
      return { ...journal, controllerIs };
    }),
  );
  return { changes, damaged };
}).pipe(Effect.withSpan("openChanges"));

/**
 * Undoes every change, of one domain or of all, whose controller is gone.
 * Whatever a controller had not committed is brought back to before it. What
 * can't be read is left (see `openChanges`), and keeps nothing else from it.
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
  for (const { path, domains, controllerIs } of (yield* openChanges).changes) {
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
 * living one is at work (`ChangeInProgress`), which may be to undo that.
 *
 * @since 0.1.0
 */
export const prepare = Effect.fn("prepare")(function* (
  domain: DomainId,
  limits: UndoLimits,
  onProgress: OnProgress,
) {
  for (;;) {
    const { changes, damaged } = yield* openChanges;
    const unreadable = damaged.find(({ domains }) => domains?.includes(domain) ?? true);
    if (unreadable !== undefined) return yield* unreadable;
    const held = changes.find(({ domains }) => domains.includes(domain));
    if (held === undefined) return;
    const { path, owner, controllerIs } = held;
    if (owner !== undefined && controllerIs !== "gone") {
      return yield* new ChangeInProgress({ domain, owner });
    }
    const recovered = yield* recoverJournal(path, limits, onProgress);
    if (recovered !== undefined && recovered.rollback.left.length > 0) {
      return yield* new RecoveryFailed(recovered);
    }
  }
});
