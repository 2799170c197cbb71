/** Xen's own `xl`, which builds domains. */
import { DomainId, PnodeId, VcpuId } from "@virtflex/topo-model";
import { XenUnavailable } from "@virtflex/xen-control";
import { Effect, Schema, Stream } from "effect";
import { ChildProcess } from "effect/process";
import { BadGuestConfig } from "./GuestConfig.ts";

/** `xl` refused; what it said. @since 0.1.0 */
export class XlFailed extends Schema.TaggedError<XlFailed>()("XlFailed", {
  command: Schema.String,
  said: Schema.String,
}) {
  readonly code = "XL_FAILED";
  override get message(): string {
    return `xl ${this.command}: ${this.said}`;
  }
}

/** Its last lines tell the reason. */
const shownLines = 8;

const run = Effect.fnUntraced(
  function* (args: ReadonlyArray<string>) {
    const child = yield* ChildProcess.make("xl", args, { stdin: "ignore" });
    const text = (stream: typeof child.stdout) => Stream.mkString(Stream.decodeText(stream));
    const [stdout, stderr, status] = yield* Effect.all(
      [text(child.stdout), text(child.stderr), child.exitCode],
      { concurrency: "unbounded" },
    );
    if (status === 0) return stdout;
    const said = stderr.trim().split("\n").slice(-shownLines).join("\n");
    return yield* new XlFailed({ command: args.join(" "), said });
  },
  Effect.scoped,
  Effect.catchTag("PlatformError", ({ message }) =>
    Effect.fail(
      new XenUnavailable({
        missing: `xl cannot be run: ${message}`,
        hint: "Run this in dom0 of a Xen host, as root: apt install xen-utils-4.17",
      }),
    ),
  ),
);

/** What we read of libxl_domain_config; what has its default there is left out. */
const Planned = Schema.fromJsonString(
  Schema.Struct({
    c_info: Schema.Struct({ name: Schema.String }),
    b_info: Schema.Struct({
      vnuma_nodes: Schema.optionalKey(
        Schema.Array(
          Schema.Struct({
            memkb: Schema.Int,
            pnode: Schema.optionalKey(PnodeId),
            vcpus: Schema.optionalKey(Schema.Array(VcpuId)),
          }),
        ),
      ),
    }),
  }),
);

export interface PlannedGuest {
  readonly name: string;
  readonly vnodes: ReadonlyArray<{
    readonly pnode: PnodeId;
    readonly memoryBytes: number;
    readonly vcpus: ReadonlyArray<VcpuId>;
  }>;
}

/** The guest that a configuration file describes, as libxl reads it. */
export const dryRun = Effect.fnUntraced(function* (file: string) {
  const text = yield* run(["create", "--dryrun", "--quiet", file]).pipe(
    Effect.catchTag("XlFailed", ({ said }) => new BadGuestConfig({ detail: said })),
  );
  const { c_info, b_info } = yield* Schema.decodeUnknownEffect(Planned)(text).pipe(
    Effect.mapError(({ message }) => new BadGuestConfig({ detail: `xl's answer: ${message}` })),
  );
  const vnodes = (b_info.vnuma_nodes ?? []).map(({ memkb, pnode, vcpus = [] }) => ({
    pnode: pnode ?? PnodeId.make(0),
    memoryBytes: memkb * 1024,
    vcpus,
  }));
  return { name: c_info.name, vnodes } satisfies PlannedGuest;
});

/** Builds the domain, which does not run yet. */
export const createPaused = Effect.fnUntraced(function* (file: string, name: string) {
  yield* run(["create", "--quiet", "-p", file]);
  return DomainId.make(Number(yield* run(["domid", name])));
});

export const unpause = (domain: DomainId) => Effect.asVoid(run(["unpause", String(domain)]));

export const destroy = (domain: DomainId) => Effect.asVoid(run(["destroy", String(domain)]));
