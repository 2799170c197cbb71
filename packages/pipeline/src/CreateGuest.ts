/**
 * Makes a guest whose topology can be changed: builds it, pins the vCPUs of each
 * vnode to its pnode, adopts it and lets it run.
 *
 * @since 0.1.0
 */
import { formatBytes, type Host } from "@virtflex/topo-model";
import { Hypervisor } from "@virtflex/xen-control";
import { Effect } from "effect";
import { adopt } from "./Adopt.ts";
import { BadGuestConfig } from "./GuestConfig.ts";
import { survey } from "./Survey.ts";
import { createPaused, destroy, dryRun, type PlannedGuest, unpause } from "./Xl.ts";

/** What libxl would find only while it builds, or never. */
const problemOf = ({ vnodes }: PlannedGuest, { pnodes }: Host): string | undefined => {
  if (vnodes.length === 0) return "it has no virtual NUMA (vnuma= of xl.cfg(5))";
  const unknown = vnodes.find(({ pnode }) => !pnodes.some(({ id }) => id === pnode));
  if (unknown !== undefined) return `the host has no pnode ${unknown.pnode}`;
  const bare = vnodes.findIndex(({ vcpus }) => vcpus.length === 0);
  if (bare !== -1) return `vnode ${bare} has no vCPU`;
  for (const { id, freeBytes } of pnodes) {
    const wanted = vnodes
      .filter(({ pnode }) => pnode === id)
      .reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
    if (wanted > freeBytes) {
      return `pnode ${id} has ${formatBytes(freeBytes)} free, ${formatBytes(wanted)} are wanted`;
    }
  }
  return undefined;
};

/**
 * Makes the guest of a configuration file of xl's. Answers it as `survey` does,
 * running. Where anything fails, or it is interrupted, nothing is left of it. A vCPU
 * that the configuration pins to some of its pnode's CPUs stays so pinned.
 *
 * @since 0.1.0
 */
export const createGuest = Effect.fn("createGuest")(function* (file: string) {
  const hypervisor = yield* Hypervisor;
  const { pnodes, distances } = yield* hypervisor.host;
  const planned = yield* dryRun(file);
  const problem = problemOf(planned, { pnodes, distances });
  if (problem !== undefined) return yield* new BadGuestConfig({ detail: problem });
  const taken = (yield* hypervisor.domains).find(({ name }) => name === planned.name);
  if (taken !== undefined) {
    const detail = `${planned.name} is the name of domain ${taken.domain}`;
    return yield* new BadGuestConfig({ detail });
  }

  return yield* Effect.uninterruptibleMask(
    Effect.fnUntraced(function* (restore) {
      // xl takes back what it could not build.
      const domain = yield* createPaused(file, planned.name);
      const settle = Effect.gen(function* () {
        const { vcpus } = yield* hypervisor.domain(domain);
        for (const { pnode, vcpus: own } of planned.vnodes) {
          const pcpus = pnodes.find(({ id }) => id === pnode)?.pcpus ?? [];
          const astray = vcpus.filter(
            ({ id, affinity }) => own.includes(id) && !affinity.every((cpu) => pcpus.includes(cpu)),
          );
          yield* hypervisor.pinVcpus(
            domain,
            astray.map(({ id }) => id),
            pcpus,
          );
        }
        const { guests } = yield* survey;
        const made = yield* Effect.fromNullishOr(
          guests.find(({ guest }) => guest.domain === domain),
        ).pipe(Effect.mapError(() => new BadGuestConfig({ detail: "it died while it was built" })));
        yield* adopt(made);
        yield* unpause(domain);
        return made;
      });
      return yield* restore(settle).pipe(Effect.onError(() => Effect.ignore(destroy(domain))));
    }),
  );
});
