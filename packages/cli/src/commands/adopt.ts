/**
 * `virtflex adopt`: makes a running domain one that can be changed.
 */
import { adopt as adoptGuest, survey } from "@virtflex/pipeline";
import { Effect } from "effect";
import { Command } from "effect/cli";
import { domainArgument } from "../Changes.ts";
import { hostLayer } from "../Connect.ts";
import { findGuest } from "../Domains.ts";
import { print } from "../Output.ts";

export const adopt = Command.make(
  "adopt",
  { domain: domainArgument },
  Effect.fnUntraced(function* ({ domain: text }) {
    const found = yield* findGuest((yield* survey).guests, text);
    const { domain, name, vnodes } = found.guest;
    const written = yield* adoptGuest(found);
    yield* print({ domain, name, vnodes: vnodes.length, written }, () =>
      written.length === 0
        ? `${name} (domain ${domain}) is adopted already`
        : `${name} (domain ${domain}): ${written.length} keys written for ${vnodes.length} vnodes`,
    );
  }, Effect.provide(hostLayer)),
).pipe(
  Command.withDescription(
    "Make a running domain with virtual NUMA one that can be changed: write its numa/ keys",
  ),
  Command.withExamples([
    { command: "virtflex adopt web", description: "Twice is once: what is as it should be stays" },
  ]),
);
