/**
 * What a host is like: changes that were left behind, guests, their pages.
 */
import { PageReader } from "@virtflex/guest-notify";
import { openChanges, survey, type SurveyedGuest } from "@virtflex/pipeline";
import { type DomainId, NumaKeys } from "@virtflex/topo-model";
import { Effect } from "effect";
import type { HostChoice } from "../Connect.ts";
import { topologyPage } from "../Paths.ts";
import { fail, type Finding, ok, warn } from "./Check.ts";

const repair = "virtflex doctor --repair";

type OpenChange = Effect.Success<typeof openChanges>["changes"][number];

const journalFinding = ({ path, domains, owner, controllerIs }: OpenChange): Finding => {
  const what = `${path}, of domain ${domains.join(", ")}`;
  if (controllerIs === "alive") {
    return ok("journal", `${what}: process ${owner?.pid ?? "?"} is at it`);
  }
  return controllerIs === "gone"
    ? fail("journal", `${what}: its controller is gone`, repair)
    : warn(
        "journal",
        `${what}: its controller, process ${owner?.pid ?? "?"}, is in another pid namespace`,
        "If it is gone, run this where it ran",
      );
};

/** What is to be said of changes that are not committed, and the domains that a controller works on, or may. */
const checkJournals = Effect.map(openChanges, ({ changes, damaged }) => {
  const unreadable = damaged.map((error) =>
    fail("journal", error.message, `xenstore-rm ${error.path}`),
  );
  const findings = [...changes.map(journalFinding), ...unreadable];
  return {
    findings:
      findings.length === 0 ? [ok("journal", "no change is under way or left behind")] : findings,
    busy: changes
      .filter(({ controllerIs }) => controllerIs !== "gone")
      .flatMap(({ domains }) => domains),
  };
});

const checkGuest = ({ guest, report }: SurveyedGuest, isBusy: boolean): Finding => {
  const check = `guest ${guest.name}`;
  if (guest.vnodes.length === 0) {
    return warn(check, "it has no virtual NUMA", "Build it with vnuma= (xl.cfg(5))");
  }
  if (!report.aware) {
    return warn(check, "it has no Virtflex guest side", "Load virtflex.ko in it");
  }
  if (isBusy) return ok(check, "a change is under way");
  const { request, status } = report;
  if (request !== undefined && status?.id === request.id && status.state === "failed") {
    return warn(
      check,
      `its last request failed: ${status.code}`,
      `virtflex status ${guest.domain}`,
    );
  }
  if (request !== undefined && (status?.id !== request.id || !NumaKeys.isFinal(status))) {
    const reached = status?.id === request.id ? `it is ${status.state}` : "it has not begun";
    return warn(
      check,
      `its last request, ${request.op}, has not ended, and nobody waits for it: ${reached}`,
      `virtflex status ${guest.domain}`,
    );
  }
  const astray = guest.vnodes.find(({ id, desired }) => {
    const has = report.nodes.get(id)?.state;
    return has !== undefined && has !== desired;
  });
  if (astray !== undefined) {
    // Asked for what is wanted already, virtflex has nothing to do: there and back.
    const verbs = astray.desired === "online" ? ["shrink", "expand"] : ["expand", "shrink"];
    return warn(
      check,
      `vnode ${astray.id} is ${report.nodes.get(astray.id)?.state} in it, and wanted ${astray.desired}`,
      verbs.map((verb) => `virtflex ${verb} ${guest.name} --vnodes ${astray.id}`).join(" && "),
    );
  }
  return ok(check, `generation ${report.generation ?? "none"}`);
};

/** The page of a guest of an embedded host, which this machine's programs read. */
const checkPage = Effect.fnUntraced(function* (socket: string, { guest, report }: SurveyedGuest) {
  const path = topologyPage(socket, guest.domain);
  const check = `page ${guest.name}`;
  return yield* Effect.flatMap(PageReader, ({ read }) => read).pipe(
    Effect.provide(PageReader.layer(path)),
    Effect.map(({ generation }) =>
      generation === report.generation
        ? ok(check, `${path}, generation ${generation}`)
        : warn(
            check,
            `${path} has generation ${generation}, the guest says ${report.generation ?? "none"}`,
            "Look again; if it stays so, end the guest side: it is started again",
          ),
    ),
    Effect.catch((error) =>
      Effect.succeed(
        fail(
          check,
          error.message,
          "End the guest side: it is started again and writes the page anew",
        ),
      ),
    ),
  );
});

export const checkHost = Effect.fnUntraced(function* (choice: HostChoice) {
  const { guests } = yield* survey;
  const where = choice.kind === "embedded" ? `embedded, ${choice.socket}` : "live";
  const pages =
    choice.kind === "embedded"
      ? yield* Effect.forEach(
          guests.filter(({ report }) => report.aware),
          (guest) => checkPage(choice.socket, guest),
        )
      : [];
  const { findings, busy } = yield* checkJournals;
  const isBusy = new Set<DomainId>(busy);
  const checked = guests.map((each) => checkGuest(each, isBusy.has(each.guest.domain)));
  return [ok("host", where), ...findings, ...checked, ...pages];
});
