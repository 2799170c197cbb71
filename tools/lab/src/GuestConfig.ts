/**
 * Guests' configurations in xl's format (xl.cfg(5)).
 *
 * @since 0.1.0
 */
import { Effect } from "effect";
import { InvalidOption } from "./LabError.ts";
import type { Shape } from "./Shape.ts";

/** @since 0.1.0 */
export interface GuestConfig {
  readonly name: string;
  /** The whole file. */
  readonly text: string;
}

/** Whether a guest can have this name, here and on the command line. @since 0.1.0 */
export const isName = (name: string): boolean =>
  /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(name) && name !== "dom0" && name !== "guest";

/** Where the guests' kernel and root file system lie in dom0. @since 0.1.0 */
export const bootDirectory = "/run/virtflex-lab";

/** What every guest of the lab needs, in the order in which a configuration that lacks it gets it. */
const required: ReadonlyArray<readonly [key: string, value: string]> = [
  ["type", '"pvh"'],
  ["kernel", `"${bootDirectory}/vmlinux"`],
  ["ramdisk", `"${bootDirectory}/initrd"`],
  ["extra", '"console=hvc0 mitigations=off nokaslr panic=1 quiet"'],
  // Under emulation a trapped RDTSC(P) kills the guest; see docs/lab.md.
  ["tsc_mode", '"native"'],
  ["on_reboot", '"destroy"'],
  ["on_crash", '"destroy"'],
];

/**
 * Completes a configuration: a key that it sets stays as it is.
 *
 * @since 0.1.0
 */
export const complete = Effect.fn("GuestConfig.complete")(function* (text: string) {
  const name = /^\s*name\s*=\s*(["'])([^"']*)\1/m.exec(text)?.[2];
  if (name === undefined) {
    return yield* new InvalidOption({ option: "CONFIG", message: "CONFIG: it has no name=" });
  }
  if (!isName(name)) {
    return yield* new InvalidOption({
      option: "CONFIG",
      message: `CONFIG: "${name}" can't be the name of a guest here`,
    });
  }
  const missing = required.filter(([key]) => !new RegExp(`^\\s*${key}\\s*=`, "m").test(text));
  const added = missing.map(([key, value]) => `${key} = ${value}\n`).join("");
  return { name, text: `${text.trimEnd()}\n${added}` } satisfies GuestConfig;
});

/** Memory of a vnode of the default guest: two such guests fit, and neither is large to clear under emulation. */
const vnodeMiB = (shape: Shape) => {
  const room = (shape.memoryMiB - 1536) / shape.nodes / 2;
  return Math.min(384, Math.floor(room / 32) * 32);
};

/**
 * The configuration of a guest with a vnode on each pnode, with its CPUs (two at most), pinned there, and the host's distances.
 *
 * @since 0.1.0
 */
export const standard = (shape: Shape, name: string): GuestConfig => {
  const perNode = shape.cpus / shape.nodes;
  const vcpus = Math.min(perNode, 2);
  const size = vnodeMiB(shape);
  const nodes = Array.from({ length: shape.nodes }, (_, node) => node);
  const range = (first: number, count: number) =>
    count === 1 ? String(first) : `${String(first)}-${String(first + count - 1)}`;
  const vnuma = nodes.map(
    (node) =>
      `  ["pnode=${String(node)}", "size=${String(size)}", "vcpus=${range(node * vcpus, vcpus)}", ` +
      `"vdistances=${shape.distances[node]?.join(",") ?? ""}"],\n`,
  );
  const pins = nodes.flatMap((node) =>
    Array.from({ length: vcpus }, () => `"${range(node * perNode, perNode)}"`),
  );
  const memory = String(size * shape.nodes);
  const text = [
    `name = "${name}"`,
    `vcpus = ${String(vcpus * shape.nodes)}`,
    `cpus = [${pins.join(", ")}]`,
    // libxl refuses vNUMA with memory < maxmem.
    `memory = ${memory}`,
    `maxmem = ${memory}`,
    `vnuma = [\n${vnuma.join("")}]`,
    ...required.map(([key, value]) => `${key} = ${value}`),
  ];
  return { name, text: `${text.join("\n")}\n` };
};
