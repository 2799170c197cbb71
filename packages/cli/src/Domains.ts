/**
 * A domain by its name or id.
 */
import type { Guest } from "@virtflex/topo-model";
import { Effect } from "effect";
import { UsageError } from "./UsageError.ts";

/** The guest that `text` means: an id first, as names may be digits too. */
export const findGuest = <G extends { readonly guest: Guest }>(
  guests: ReadonlyArray<G>,
  text: string,
): Effect.Effect<G, UsageError> => {
  const byId = guests.find(({ guest }) => String(guest.domain) === text);
  if (byId !== undefined) return Effect.succeed(byId);
  const [found, another] = guests.filter(({ guest }) => guest.name === text);
  if (found !== undefined && another === undefined) return Effect.succeed(found);
  const known = guests.map(({ guest }) => `${guest.name} (${guest.domain})`).join(", ");
  return found === undefined
    ? Effect.fail(
        new UsageError({
          code: "NO_SUCH_DOMAIN",
          what: text,
          detail: `no such domain; there is ${known === "" ? "none" : known}`,
        }),
      )
    : Effect.fail(
        new UsageError({
          code: "AMBIGUOUS_DOMAIN",
          what: text,
          detail: `several domains have that name: say its id, of ${known}`,
        }),
      );
};
