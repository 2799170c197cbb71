/**
 * How fast a guest may write, as C's xenstored limits it: WRL_GBURST writes at once, then
 * WRL_RATE a second (tools/xenstore/xenstored_domain.c of Xen 4.17). So a guest that
 * floods the store leaves it time for the others. A transaction counts as one, when it is committed.
 */
import { Clock, Effect } from "effect";

const burst = 1000;
const perSecond = 200;

export class WriteCredit {
  readonly #left = new Map<number, { readonly credit: number; readonly at: number }>();

  /** Waits until the domain may write once more. */
  spend(domain: number): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (at) => {
      const before = this.#left.get(domain) ?? { credit: burst, at };
      const earned = ((at - before.at) / 1000) * perSecond;
      const credit = Math.min(burst, before.credit + earned) - 1;
      this.#left.set(domain, { credit, at });
      return credit >= 0 ? Effect.void : Effect.sleep((-credit / perSecond) * 1000);
    });
  }
}
