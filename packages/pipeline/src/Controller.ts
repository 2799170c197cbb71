/**
 * Who holds a change: a process of this host, and whether it still lives.
 *
 * A pid alone can be given to another process, so the start time of
 * /proc/<pid>/stat (field 22, see proc(5)) stands beside it; a boot id tells a
 * journal of before a restart, a pid namespace tells pids that can't be
 * compared.
 *
 * @since 0.1.0
 */
import { Context, Effect, FileSystem, Layer, Schema } from "effect";

/** A process that applies a change. @since 0.1.0 */
export const Owner = Schema.Struct({
  pid: Schema.Int,
  /** Clock ticks between boot and the start of the process. */
  startTicks: Schema.Int,
  bootId: Schema.String,
  /** `/proc/self/ns/pid`, such as `pid:[4026531836]`. */
  pidNamespace: Schema.String,
});
export type Owner = typeof Owner.Type;

/** `unknown`: it runs, or ran, in a pid namespace that this process can't see. @since 0.1.0 */
export type Liveness = "alive" | "gone" | "unknown";

/** This process can't be told from others, so no change can be locked. @since 0.1.0 */
export class ControllerUnknown extends Schema.TaggedError<ControllerUnknown>()(
  "ControllerUnknown",
  { path: Schema.String },
) {
  readonly code = "CONTROLLER_UNKNOWN";
  override get message(): string {
    return `This process can't identify itself: ${this.path} can't be read. Is /proc mounted?`;
  }
}

/** @since 0.1.0 */
export class Controller extends Context.Service<
  Controller,
  {
    readonly self: Owner;
    readonly liveness: (owner: Owner) => Effect.Effect<Liveness>;
  }
>()("@virtflex/pipeline/Controller") {
  /** Reads /proc. @since 0.1.0 */
  static readonly layer = Layer.effect(
    Controller,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem;
      const known = <A>(path: string, read: Effect.Effect<A, unknown>) =>
        read.pipe(Effect.mapError(() => new ControllerUnknown({ path })));

      /** State and start time; the name before them may hold blanks and parentheses. */
      const stat = (pid: number | "self") => {
        const path = `/proc/${pid}/stat`;
        return known(
          path,
          Effect.map(fs.readFileString(path), (text) => {
            const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
            return { pid: Number.parseInt(text), state: fields[0], startTicks: Number(fields[19]) };
          }),
        );
      };
      const bootId = yield* known(
        "/proc/sys/kernel/random/boot_id",
        Effect.map(fs.readFileString("/proc/sys/kernel/random/boot_id"), (text) => text.trim()),
      );
      const pidNamespace = yield* known("/proc/self/ns/pid", fs.readLink("/proc/self/ns/pid"));
      const { pid, startTicks } = yield* stat("self");

      return Controller.of({
        self: { pid, startTicks, bootId, pidNamespace },
        liveness: Effect.fn("Controller.liveness")(function* (owner: Owner) {
          if (owner.bootId !== bootId) return "gone";
          if (owner.pidNamespace !== pidNamespace) return "unknown";
          return yield* stat(owner.pid).pipe(
            Effect.map(({ state, startTicks }) =>
              startTicks === owner.startTicks && state !== "Z" ? "alive" : "gone",
            ),
            Effect.orElseSucceed(() => "gone" as const),
          );
        }),
      });
    }),
  );
}
