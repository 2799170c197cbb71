/**
 * `virtflex expand | shrink | resize | rehome | trade`: plans a change and applies it.
 */
import { apply, type OnProgress, prepare, survey } from "@virtflex/pipeline";
import type { Plan } from "@virtflex/topo-model";
import { Clock, Effect } from "effect";
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
import { makeRecord } from "../ChangeRecord.ts";
import { controlLayer } from "../Connect.ts";
import { findGuest } from "../Domains.ts";
import { exitCode } from "../ExitCode.ts";
import { print } from "../Output.ts";
import { planFor, planText } from "../Planning.ts";
import { progressView } from "../ProgressView.ts";
import { parseTimeout } from "../Values.ts";

const applyConfig = {
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Show the plan and do nothing"),
    Flag.withDefault(false),
    Flag.withoutNegation,
  ),
  timeout: Flag.String("timeout").pipe(
    Flag.withMetavar("TIME"),
    Flag.withDescription("When it is not done by then it is undone: 500ms, 30s, 2m"),
    Flag.withDefault("60s"),
  ),
};

interface ApplyInput {
  readonly makeRoom?: boolean;
  readonly dryRun: boolean;
  readonly timeout: string;
}

const changeText = (plan: Plan, elapsedMs: number) =>
  `Done: ${plan.steps.length} steps in ${elapsedMs} ms`;

const change = Effect.fnUntraced(function* (
  wishes: ReadonlyArray<Wish>,
  { makeRoom = false, dryRun, timeout }: ApplyInput,
) {
  const deadline = yield* parseTimeout(timeout);
  const { guests } = yield* survey;
  const limits = { deadlineMs: deadline, graceMs: 5000 };
  for (const wish of wishes) {
    const { guest } = yield* findGuest(guests, wish.domain);
    if (!dryRun) yield* prepare(guest.domain, limits, progressView());
  }
  const { topology, guests: surveyed } = yield* survey;
  const movable = makeRoom ? surveyed.filter(({ report }) => report.aware) : [];
  const plan = yield* planFor(
    topology.host,
    topology.guests,
    wishes,
    movable.map(({ guest }) => guest.domain),
  );
  if (dryRun) return yield* print(plan, () => planText(plan));
  const began = yield* Clock.currentTimeMillis;
  const view = progressView();
  let left = 0;
  const onProgress: OnProgress = (progress) => {
    if (progress.direction === "undo" && progress._tag === "StepFailed") left += 1;
    return view(progress);
  };
  const record = yield* makeRecord(topology.host);
  yield* apply(plan, {
    deadline,
    onProgress: (progress) => Effect.andThen(record.onProgress(progress), onProgress(progress)),
  }).pipe(
    Effect.onInterrupt(() =>
      Effect.sync(() => {
        process.exitCode = left === 0 ? exitCode.rolledBack : exitCode.failed;
      }),
    ),
  );
  const elapsedMs = (yield* Clock.currentTimeMillis) - began;
  const document = { result: "done", elapsedMs, plan, ...(yield* record.document) };
  yield* print(document, () => changeText(plan, elapsedMs));
}, Effect.provide(controlLayer));

export const changes = [
  Command.make("expand", { ...expandConfig, ...applyConfig }, (input) =>
    change([vnodesWish("expand", input)], input),
  ).pipe(
    Command.withDescription(about.expand),
    Command.withExamples([
      { command: "virtflex expand web --vnodes 2,3", description: "Put vnodes 2 and 3 to use" },
      {
        command: "virtflex expand web --vnodes 3 --make-room",
        description: "Put vnode 3 to use; other guests' vnodes leave its pnode if they must",
      },
    ]),
  ),
  Command.make("shrink", { ...vnodesConfig, ...applyConfig }, (input) =>
    change([vnodesWish("shrink", input)], input),
  ).pipe(
    Command.withDescription(about.shrink),
    Command.withExamples([
      {
        command: "virtflex shrink web --vnodes 2,3 --timeout 30s",
        description: "Take vnodes 2 and 3 out of use, or leave all as it is after 30 seconds",
      },
    ]),
  ),
  Command.make("resize", { ...resizeConfig, ...applyConfig }, (input) =>
    change([resizeWish(input)], input),
  ).pipe(Command.withDescription(about.resize)),
  Command.make("rehome", { ...rehomeConfig, ...applyConfig }, (input) =>
    change([rehomeWish(input)], input),
  ).pipe(Command.withDescription(about.rehome)),
  Command.make("trade", { ...tradeConfig, ...applyConfig }, (input) =>
    Effect.flatMap(tradeWishes(input), (wishes) => change(wishes, input)),
  ).pipe(
    Command.withDescription(about.trade),
    Command.withExamples([
      {
        command: "virtflex trade web:3 batch:2,3",
        description: "Vnode 3 of web makes room for vnodes 2 and 3 of batch, or all stays as it is",
      },
    ]),
  ),
] as const;
