/**
 * Our own configuration of a guest with virtual NUMA, and the same as xl's (xl.cfg(5)).
 *
 * @since 0.1.0
 */
import { Distances, type Host, PnodeId } from "@virtflex/topo-model";
import { Result, Schema, SchemaIssue } from "effect";

/** What can stand in a quoted string of xl.cfg(5), which has no way to escape a quote. */
const Text = Schema.String.check(Schema.isPattern(/^[^"'\\\n]*$/));

const positive = Schema.Int.check(Schema.isGreaterThan(0));

/** A PVH guest; its vCPUs are numbered vnode by vnode. @since 0.1.0 */
export const GuestConfig = Schema.Struct({
  name: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)),
  /** Path of the kernel's image in dom0. */
  kernel: Text,
  ramdisk: Schema.optionalKey(Text),
  /** The kernel's command line. */
  cmdline: Schema.optionalKey(Text),
  vnodes: Schema.NonEmptyArray(
    Schema.Struct({
      pnode: PnodeId,
      memoryMib: positive,
      /** How many vCPUs it has. */
      vcpus: positive,
    }),
  ),
  /** As the guest shall see them; those between its pnodes unless given. */
  distances: Schema.optionalKey(Distances),
  /** Whatever else xl.cfg(5) knows, by its own names: `disk`, `vif`. */
  xl: Schema.optionalKey(
    Schema.Record(
      Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9_]*$/)),
      Schema.Union([Text, Schema.Int, Schema.Array(Text)]),
    ),
  ),
});
export type GuestConfig = typeof GuestConfig.Type;

/** A configuration, or an answer of xl, that no guest can be made from. @since 0.1.0 */
export class BadGuestConfig extends Schema.TaggedError<BadGuestConfig>()("BadGuestConfig", {
  detail: Schema.String,
}) {
  readonly code = "BAD_GUEST_CONFIG";
  override get message(): string {
    return `No guest can be made of this: ${this.detail}`;
  }
}

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(GuestConfig), {
  errors: "all",
  onExcessProperty: "error",
});
const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1();

/** The configuration that a JSON text holds. @since 0.1.0 */
export const parseGuestConfig = (text: string): Result.Result<GuestConfig, BadGuestConfig> =>
  Result.mapError(decode(text), ({ issue }) => {
    const problems = issuesOf(issue).issues.map(({ path = [], message }) =>
      path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`,
    );
    return new BadGuestConfig({ detail: problems.join("; ") });
  });

const quoted = (text: string) => `"${text}"`;
const list = (texts: ReadonlyArray<string>) => `[${texts.map(quoted).join(", ")}]`;

const between = ({ vnodes }: GuestConfig, { pnodes, distances }: Host): Distances => {
  const at = (pnode: number) => pnodes.findIndex(({ id }) => id === pnode);
  return vnodes.map((from, row) =>
    vnodes.map((to, column) => {
      const distance = distances[at(from.pnode)]?.[at(to.pnode)] ?? 20;
      // Two vnodes on one pnode are two nodes to the guest.
      return row === column ? 10 : Math.max(distance, 11);
    }),
  );
};

/** The text that xl reads, for this host. @since 0.1.0 */
export const printXlConfig = (config: GuestConfig, host: Host): string => {
  const { name, kernel, ramdisk, cmdline, vnodes, xl = {} } = config;
  const distances = config.distances ?? between(config, host);
  let vcpus = 0;
  const vnuma = vnodes.map(({ pnode, memoryMib, vcpus: count }, vnode) => {
    const first = vcpus;
    vcpus += count;
    return list([
      `pnode=${pnode}`,
      `size=${memoryMib}`,
      `vcpus=${count === 1 ? first : `${first}-${vcpus - 1}`}`,
      `vdistances=${(distances[vnode] ?? []).join(",")}`,
    ]);
  });
  const memory = vnodes.reduce((sum, { memoryMib }) => sum + memoryMib, 0);
  const lines: ReadonlyArray<readonly [string, string | undefined]> = [
    ["name", quoted(name)],
    ["type", quoted("pvh")],
    ["kernel", quoted(kernel)],
    ["ramdisk", ramdisk === undefined ? undefined : quoted(ramdisk)],
    ["cmdline", cmdline === undefined ? undefined : quoted(cmdline)],
    ["vcpus", String(vcpus)],
    ["memory", String(memory)],
    ["maxmem", String(memory)],
    ["vnuma", `[${vnuma.join(", ")}]`],
    ...Object.entries(xl).map(
      ([key, value]) =>
        [
          key,
          typeof value === "string"
            ? quoted(value)
            : typeof value === "number"
              ? String(value)
              : list(value),
        ] as const,
    ),
  ];
  return lines
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key} = ${value}\n`]))
    .join("");
};
