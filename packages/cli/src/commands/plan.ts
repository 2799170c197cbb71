/**
 * `virtflex plan`: what would be done, and what it would cost.
 */
import { survey } from "@virtflex/pipeline";
import { Effect, Option } from "effect";
import { Command, Flag } from "effect/cli";
import {
  about,
  expandConfig,
  rehomeConfig,
  rehomeWish,
  resizeConfig,
  resizeWish,
  tradeConfig,
  tradeWishes,
  vnodesConfig,
  vnodesWish,
  type Wish,
} from "../Changes.ts";
import { hostLayer } from "../Connect.ts";
import { print } from "../Output.ts";
import { planFor, planText, readTopology } from "../Planning.ts";

const root = Command.make("plan").pipe(
  Command.withDescription("Show what a change would do and cost, and do nothing"),
  Command.withSharedFlags({
    topology: Flag.String("topology").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Plan on the host and guests of a JSON file, not on a real host"),
      Flag.optional,
    ),
  }),
);

/** Each guest of a file can make room; of a host those which know of Virtflex. */
const surveyed = Effect.map(survey, ({ topology, guests }) => ({
  ...topology,
  movable: guests.filter(({ report }) => report.aware).map(({ guest }) => guest.domain),
}));
const described = (file: string) =>
  Effect.map(readTopology(file), (topology) => ({
    ...topology,
    movable: topology.guests.map(({ domain }) => domain),
  }));

const show = Effect.fnUntraced(function* (
  wishes: ReadonlyArray<Wish>,
  { makeRoom = false }: { readonly makeRoom?: boolean },
) {
  const { topology: file } = yield* root;
  const { host, guests, movable } = Option.isSome(file)
    ? yield* described(file.value)
    : yield* Effect.provide(surveyed, hostLayer);
  const plan = yield* planFor(host, guests, wishes, makeRoom ? movable : []);
  yield* print(plan, () => planText(plan));
});

export const plan = root.pipe(
  Command.withSubcommands([
    Command.make("expand", expandConfig, (input) =>
      show([vnodesWish("expand", input)], input),
    ).pipe(Command.withDescription(about.expand)),
    Command.make("shrink", vnodesConfig, (input) => show([vnodesWish("shrink", input)], {})).pipe(
      Command.withDescription(about.shrink),
    ),
    Command.make("resize", resizeConfig, (input) => show([resizeWish(input)], input)).pipe(
      Command.withDescription(about.resize),
    ),
    Command.make("rehome", rehomeConfig, (input) => show([rehomeWish(input)], input)).pipe(
      Command.withDescription(about.rehome),
    ),
    Command.make("trade", tradeConfig, (input) =>
      Effect.flatMap(tradeWishes(input), (wishes) => show(wishes, input)),
    ).pipe(Command.withDescription(about.trade)),
  ]),
  Command.withExamples([
    {
      command: "virtflex plan shrink web --vnodes 2,3",
      description: "What taking vnodes 2 and 3 of domain web out of use would do",
    },
    {
      command: "virtflex plan --topology host.json rehome 3 --vnode 1 --pnode 2",
      description: "Plan on a host that is described in a file",
    },
  ]),
);
