/**
 * What a host is like: changes that were left behind, guests, their pages.
 */
import { PageReader } from "@virtflex/guest-notify";
import { openChanges, survey, type SurveyedGuest } from "@virtflex/pipeline";
import { Effect } from "effect";
import type { HostChoice } from "../Connect.ts";
import { topologyPage } from "../Paths.ts";
import { fail, type Finding, ok, warn } from "./Check.ts";

const repair = "virtflex doctor --repair";

const checkJournals = openChanges.pipe(
  Effect.map((changes): ReadonlyArray<Finding> => {
    if (changes.length === 0) return [ok("journal", "no change is under way or left behind")];
    return changes.map(({ path, domains, owner, controllerIs }) => {
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
    });
  }),
  Effect.catchTag("JournalDamaged", (error) =>
    Effect.succeed([fail("journal", error.message, `xenstore-rm ${error.path}`)]),
  ),
);

const checkGuest = ({ guest, report }: SurveyedGuest): Finding => {
  const check = `guest ${guest.name}`;
  if (guest.vnodes.length === 0) {
    return warn(check, "it has no virtual NUMA", "Build it with vnuma= (xl.cfg(5))");
  }
  if (!report.aware) {
    return warn(check, "it has no Virtflex guest side", "Load virtflex.ko in it");
  }
  const { request, status } = report;
  if (request !== undefined && status?.id === request.id && status.state === "failed") {
    return warn(
      check,
      `its last request failed: ${status.code}`,
      `virtflex status ${guest.domain}`,
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
  return [ok("host", where), ...(yield* checkJournals), ...guests.map(checkGuest), ...pages];
});
