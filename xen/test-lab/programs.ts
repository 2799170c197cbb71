/** A guest of the tests, and what Xen says of a domain's memory. */
import { Effect } from "effect";
import type * as Lab from "../../tools/lab/src/Lab.ts";

export const vnodes = [0, 1, 2, 3];
export const vnodeMiB = 256;

/** Four vnodes of one vCPU each; the vCPUs are not pinned. */
export const guestConfig = (name: string): string => {
  const distances = (v: number) => vnodes.map((w) => (v === w ? 10 : 20)).join(",");
  const vnuma = vnodes.map(
    (v) =>
      `["pnode=${String(v)}","size=${String(vnodeMiB)}","vcpus=${String(v)}","vdistances=${distances(v)}"]`,
  );
  const memory = String(vnodes.length * vnodeMiB);
  return `name = "${name}"\nmemory = ${memory}\nmaxmem = ${memory}\nvcpus = ${String(vnodes.length)}\nvnuma = [ ${vnuma.join(", ")} ]\n`;
};

/** The domain's pages on each pnode, and each vnode's pnode: Xen's debug key u. */
export const placement = Effect.fn("placement")(function* (lab: Lab.Lab, domid: string) {
  const log = yield* lab.dom0.check("xl debug-keys u && xl dmesg");
  const domains = log
    .slice(log.lastIndexOf("Memory location of each domain"))
    .split(/^\(XEN\) Domain /m);
  const own = domains.find((text) => text.startsWith(`${domid} (total:`)) ?? "";
  const numbers = (pattern: RegExp) => [...own.matchAll(pattern)].map(([, n]) => Number(n));
  return { pages: numbers(/Node \d+: (\d+)/g), pnodes: numbers(/\d+: pnode +(\d+)/g) };
});

/** What `rehome-vnode` prints. */
export const rehomed = (text: string) => {
  const number = (name: string) => Number(new RegExp(`${name} ([\\d.]+)`).exec(text)?.[1]);
  return {
    moved: number("moved"),
    resident: number("resident"),
    busy: number("busy"),
    unmovable: number("unmovable"),
    seconds: number("seconds"),
    longest: number("longest"),
  };
};
