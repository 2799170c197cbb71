/**
 * `virtflex list | show | status | watch`: looking, without touching.
 */
import { type GuestReport, survey, type SurveyedGuest } from "@virtflex/pipeline";
import {
  drawTerminal,
  formatBytes,
  type Guest,
  NumaKeys,
  type Topology,
} from "@virtflex/topo-model";
import { XenStore } from "@virtflex/xen-control";
import { Effect, Equal, Option, Stream } from "effect";
import { Argument, Command } from "effect/cli";
import { domainArgument } from "../Changes.ts";
import { hostLayer } from "../Connect.ts";
import { findGuest } from "../Domains.ts";
import { print, printLine, table } from "../Output.ts";
import { stdoutHasColor } from "../Screen.ts";

const onlineOf = (vnodes: Guest["vnodes"]) =>
  vnodes.filter(({ desired }) => desired === "online").length;

const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function* () {
    const { topology, guests } = yield* survey;
    const listed = guests.map(({ guest, state, memoryBytes, residentBytes, report }) => ({
      ...guest,
      state,
      memoryBytes,
      residentBytes,
      aware: report.aware,
    }));
    yield* print({ host: topology.host, guests: listed }, () =>
      table(
        ["ID", "NAME", "STATE", "VCPUS", "VNODES", "MEMORY", "LIMIT", "VIRTFLEX"],
        listed.map((guest) => [
          guest.domain,
          guest.name,
          guest.state,
          `${guest.vcpus.filter(({ online }) => online).length}/${guest.vcpus.length}`,
          `${onlineOf(guest.vnodes)}/${guest.vnodes.length}`,
          formatBytes(guest.memoryBytes),
          formatBytes(guest.limitBytes),
          guest.aware ? "yes" : "no",
        ]),
      ),
    );
  }, Effect.provide(hostLayer)),
).pipe(
  Command.withDescription("List the domains; with --json, the host's nodes and each domain's too"),
);

const statusOf = ({ guest, state, memoryBytes, residentBytes, report }: SurveyedGuest) => ({
  domain: guest.domain,
  name: guest.name,
  state,
  aware: report.aware,
  request: report.request,
  status: report.status,
  generation: report.generation,
  runtimes: report.runtimes,
  memoryBytes,
  residentBytes,
  limitBytes: guest.limitBytes,
  vnodes: guest.vnodes.map((vnode) => ({ ...vnode, state: report.nodes.get(vnode.id)?.state })),
});
type Status = ReturnType<typeof statusOf>;

const requestText = ({ request, status }: Pick<GuestReport, "request" | "status">): string => {
  if (request === undefined) return "none yet";
  const asked = `${request.id} ${request.op}`;
  if (status?.id !== request.id) return `${asked}: not taken up`;
  return `${asked}: ${status.state}${status.state === "failed" ? ` (${status.code})` : ""}`;
};

const residentText = ({ residentBytes }: Status): string =>
  residentBytes.length === 0
    ? "unknown"
    : residentBytes.map(({ pnode, bytes }) => `${pnode}: ${formatBytes(bytes)}`).join(", ");

const statusText = (status: Status): string =>
  [
    `${status.name} (domain ${status.domain}), ${status.state}` +
      (status.aware ? "" : "; it has no Virtflex guest side"),
    `request     ${requestText(status)}`,
    `generation  ${status.generation ?? "none yet"}`,
    `programs    ${status.runtimes === undefined ? "unknown" : `${status.runtimes.adapted} of ${status.runtimes.known} adapted`}`,
    `memory      ${formatBytes(status.memoryBytes)} of at most ${formatBytes(status.limitBytes)}`,
    `by pnode    ${residentText(status)}`,
    "",
    table(
      ["VNODE", "PNODE", "WANTED", "IS", "TARGET", "ACTUAL", "CAPACITY", "VCPUS"],
      status.vnodes.map((vnode) => [
        vnode.id,
        vnode.pnode,
        vnode.desired,
        vnode.state ?? "unknown",
        formatBytes(vnode.targetBytes),
        formatBytes(vnode.actualBytes),
        formatBytes(vnode.capacityBytes),
        NumaKeys.printCpuList(vnode.vcpus),
      ]),
    ),
  ].join("\n");

const status = Command.make(
  "status",
  { domain: domainArgument },
  Effect.fnUntraced(function* ({ domain }) {
    const found = statusOf(yield* findGuest((yield* survey).guests, domain));
    yield* print(found, () => statusText(found));
  }, Effect.provide(hostLayer)),
).pipe(Command.withDescription("What a domain was asked for, what it has, and who adapted"));

const picture = (shown: Topology) =>
  drawTerminal([shown], { columns: process.stdout.columns || 80, color: stdoutHasColor });

const optionalDomain = domainArgument.pipe(Argument.optional);

const show = Command.make(
  "show",
  { domain: optionalDomain },
  Effect.fnUntraced(function* ({ domain }) {
    const { topology, guests } = yield* survey;
    const shown = Option.isNone(domain)
      ? topology
      : { ...topology, guests: [(yield* findGuest(guests, domain.value)).guest] };
    yield* print(shown, () => picture(shown));
  }, Effect.provide(hostLayer)),
).pipe(Command.withDescription("Draw the host and its domains: nodes, CPUs, memory"));

const watchLine = (found: Status): string => {
  const nodes = found.vnodes.map(
    ({ id, actualBytes, state }) => `${id}:${formatBytes(actualBytes)} ${state ?? "?"}`,
  );
  const adapted =
    found.runtimes === undefined
      ? ""
      : `  ${found.runtimes.adapted}/${found.runtimes.known} adapted`;
  return `${found.name}  ${requestText(found)}  generation ${found.generation ?? "?"}  ${nodes.join("  ")}${adapted}`;
};

/** What a domain's state is when it is there no longer. */
type Gone = Pick<Status, "domain" | "name"> & { readonly state: "gone" };

const isGone = (found: Status | Gone): found is Gone => found.state === "gone";

/** What is to be told of a survey: the domains that have changed since the one before, and those that have gone. */
const changesSince = (before: ReadonlyArray<Status>, now: ReadonlyArray<Status>) => {
  const of = (all: ReadonlyArray<Status>, domain: Status["domain"]) =>
    all.find((each) => each.domain === domain);
  const changed = now.filter((found) => !Equal.equals(of(before, found.domain), found));
  const gone = before
    .filter(({ domain }) => of(now, domain) === undefined)
    .map(({ domain, name }): Gone => ({ domain, name, state: "gone" }));
  return [...changed, ...gone];
};

const watch = Command.make(
  "watch",
  { domain: optionalDomain },
  Effect.fnUntraced(function* ({ domain }) {
    const store = yield* XenStore;
    const only = Option.isNone(domain)
      ? undefined
      : (yield* findGuest((yield* survey).guests, domain.value)).guest.domain;
    const home = only === undefined ? "/local/domain" : NumaKeys.at(only, "numa");
    yield* Stream.mergeAll(
      [home, "@introduceDomain", "@releaseDomain"].map((path) => store.watch(path)),
      { concurrency: "unbounded" },
    ).pipe(
      // A guest that writes without end gets no more than one survey after another.
      Stream.buffer({ capacity: 1, strategy: "sliding" }),
      Stream.mapEffect(() => survey),
      Stream.map(({ guests }) =>
        guests.filter(({ guest }) => only === undefined || guest.domain === only).map(statusOf),
      ),
      Stream.mapAccum(
        (): ReadonlyArray<Status> => [],
        (before, now) => [now, changesSince(before, now)] as const,
      ),
      Stream.takeUntil((found) => only !== undefined && isGone(found)),
      Stream.runForEach((found) =>
        printLine(found, () => (isGone(found) ? `${found.name}  gone` : watchLine(found))),
      ),
    );
  }, Effect.provide(hostLayer)),
).pipe(
  Command.withDescription(
    "Tell each change of a domain's status until it is gone, or of all until interrupted",
  ),
);

export const looks = [list, show, status, watch] as const;
