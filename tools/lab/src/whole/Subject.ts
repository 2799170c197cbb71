/**
 * A guest with all of Virtflex in it: four vnodes of one vCPU each, module, runtimes and programs, adopted by dom0's `virtflex`.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Schema } from "effect";
import { CommandFailed } from "../LabError.ts";
import { type Host, type Lab, retryBoot } from "../Lab.ts";

/** Memory of each vnode of a subject, in MiB. @since 0.1.0 */
export const vnodeMiB = 256;

/** @since 0.1.0 */
export const vnodes = [0, 1, 2, 3] as const;

/** How long dom0's `virtflex` may take under emulation on a busy machine, its own start included. */
const patience = Duration.minutes(8);

const config = (name: string, nodes: number, cpus: number) => {
  const perNode = cpus / nodes;
  const pnode = (vnode: number) => vnode % nodes;
  const rows = vnodes.map((v) => {
    const distances = vnodes.map((to) => (to === v ? 10 : pnode(to) === pnode(v) ? 11 : 20));
    return `  ["pnode=${String(pnode(v))}", "size=${String(vnodeMiB)}", "vcpus=${String(v)}", "vdistances=${distances.join(",")}"],\n`;
  });
  const pins = vnodes.map(
    (v) => `"${String(pnode(v) * perNode)}-${String((pnode(v) + 1) * perNode - 1)}"`,
  );
  const memory = String(vnodes.length * vnodeMiB);
  return `name = "${name}"\nvcpus = ${String(vnodes.length)}\ncpus = [${pins.join(", ")}]\nmemory = ${memory}\nmaxmem = ${memory}\nvnuma = [\n${rows.join("")}]\n`;
};

/** A step of a change, as `virtflex --json` tells of it. */
const StepTime = Schema.Struct({
  tag: Schema.String,
  startedAtMs: Schema.Finite,
  endedAtMs: Schema.Finite,
});

/** What `virtflex shrink|expand --json` prints. */
const ChangeDocument = Schema.Struct({
  result: Schema.String,
  elapsedMs: Schema.optionalKey(Schema.Finite),
  steps: Schema.optionalKey(Schema.Array(StepTime)),
  freeBytes: Schema.optionalKey(
    Schema.Array(Schema.Struct({ pnode: Schema.Int, before: Schema.Finite, after: Schema.Finite })),
  ),
  error: Schema.optionalKey(Schema.Struct({ code: Schema.String, message: Schema.String })),
});

/** What dom0's `virtflex` made of a change. @since 0.1.0 */
export interface Changed extends Schema.Schema.Type<typeof ChangeDocument> {
  readonly status: number;
}

/** @since 0.1.0 */
export interface Subject {
  readonly name: string;
  readonly domain: number;
  readonly guest: Host;
  readonly dom0: Host;
  /** Waits until the module says that it is there, as soon as it may. */
  readonly ready: Effect.Effect<void, Effect.Error<ReturnType<Host["check"]>>>;
  /** `virtflex ARGUMENTS` in dom0; its stderr, line by line, goes to `onLine`. */
  readonly virtflex: (
    args: ReadonlyArray<string>,
    onLine?: (line: string) => void,
  ) => ReturnType<Host["exec"]>;
  /** `virtflex shrink|expand SUBJECT --vnodes LIST --json`. */
  readonly change: (
    verb: "shrink" | "expand",
    list: string,
    options?: { readonly timeout?: string; readonly onLine?: (line: string) => void },
  ) => Effect.Effect<Changed, Effect.Error<ReturnType<Host["exec"]>> | Schema.SchemaError>;
}

/** Calls for each whole line of a stream. @since 0.1.0 */
export const byLine = (onLine: (line: string) => void) => {
  let rest = "";
  return (chunk: Buffer): void => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  };
};

/**
 * Starts a subject; it is destroyed when the scope ends.
 *
 * Its vCPUs together get what one pCPU has: under emulation they would take the machine from dom0.
 *
 * @since 0.1.0
 */
export const make = Effect.fn("Subject.make")(function* (lab: Lab, name: string) {
  const { dom0 } = lab;
  const { nodes, cpus } = lab.status.shape;
  yield* Effect.acquireRelease(
    retryBoot(lab.createGuest(config(name, nodes, cpus), "6 minutes"), (line) =>
      Effect.sync(() => void process.stderr.write(`${line}\n`)),
    ),
    () => Effect.ignore(dom0.run(`xl destroy ${name}`)),
  );
  yield* dom0.check(`xl sched-credit2 -d ${name} -c 100`);
  const guest = yield* lab.guest(name);
  yield* guest.check("insmod /opt/virtflex/lib/virtflex.ko");

  const virtflex: Subject["virtflex"] = (args, onLine) =>
    dom0.exec(["virtflex", ...args], {
      timeout: patience,
      ...(onLine && { onStderr: byLine(onLine) }),
    });
  const { status, stderr } = yield* virtflex(["adopt", name]);
  if (status !== 0) {
    return yield* new CommandFailed({
      command: `virtflex adopt ${name}`,
      status,
      message: stderr.toString().trim(),
    });
  }
  const domain = Number((yield* dom0.check(`xl domid ${name}`)).trim());
  const ready = Effect.asVoid(
    dom0.check(
      `until [ "$(xenstore-read /local/domain/${String(domain)}/control/feature-virtflex)" = 1 ]; do sleep 0.2; done`,
      { timeout: patience },
    ),
  );
  yield* ready;

  const change: Subject["change"] = Effect.fn("Subject.change")(function* (
    verb,
    list,
    { timeout = "300s", onLine } = {},
  ) {
    const args = [verb, name, "--vnodes", list, "--timeout", timeout, "--json"];
    const output = yield* virtflex(args, onLine);
    const document = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(ChangeDocument))(
      output.stdout.toString(),
    );
    return { ...document, status: output.status };
  });
  return { name, domain, guest, dom0, ready, virtflex, change } satisfies Subject;
});
