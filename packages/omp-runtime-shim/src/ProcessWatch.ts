/**
 * How a running program adapts: its threads, where each may run and did run
 * last, and which generation it has acknowledged.
 *
 * Reference: proc(5).
 *
 * @since 0.1.0
 */
import { Context, Effect, FileSystem, Schema, Stream } from "effect";

/** The process ended, or /proc does not tell of it. @since 0.1.0 */
export class ProcessGone extends Schema.TaggedError<ProcessGone>()("ProcessGone", {
  pid: Schema.Int,
}) {
  readonly code = "PROCESS_GONE";
  override get message(): string {
    return `Process ${this.pid} is gone`;
  }
}

/** @since 0.1.0 */
export interface ThreadReport {
  readonly tid: number;
  /** One letter, as in proc(5): R running, S sleeping, … */
  readonly state: string;
  /** The CPUs that it may run on, ascending. */
  readonly allowedCpus: ReadonlyArray<number>;
  /** The CPU that it ran on last. */
  readonly lastCpu: number;
  /** CPU time that it has had, in nanoseconds. */
  readonly ranNanos: bigint;
}

/** @since 0.1.0 */
export interface ProcessReport {
  readonly pid: number;
  /** By tid; a thread that ends while it is looked at is left out. */
  readonly threads: ReadonlyArray<ThreadReport>;
  /** Last acknowledged; undefined: it has not registered. */
  readonly generation: bigint | undefined;
  /** Milliseconds from the generation's publication to its acknowledgement, where both were seen. */
  readonly adaptedMs: number | undefined;
}

/**
 * Who has acknowledged what: a port, which the registry of
 * `@virtflex/guest-notify` is.
 *
 * @since 0.1.0
 */
export class Acknowledgements extends Context.Service<
  Acknowledgements,
  {
    /** What is, and then each change. */
    readonly changes: Stream.Stream<
      {
        readonly runtimes: ReadonlyArray<{
          readonly pid: number;
          readonly generation: bigint;
          readonly adaptedMs: number | undefined;
        }>;
      },
      { readonly code: string; readonly message: string }
    >;
  }
>()("@virtflex/omp-runtime-shim/Acknowledgements") {}

/** The kernel's own list, `0-3,8`: of any length, as a machine may have more CPUs than a page. */
export const parseKernelCpuList = (text: string): ReadonlyArray<number> =>
  text
    .trim()
    .split(",")
    .filter((part) => part !== "")
    .flatMap((part) => {
      const [first = 0, last = first] = part.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });

/** Of /proc/<pid>/task/<tid>/stat: the name before the fields may hold blanks and parentheses. */
export const parseStat = (text: string): { state: string; lastCpu: number; startTicks: number } => {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    state: fields[0] ?? "?",
    lastCpu: Number(fields[36] ?? -1),
    startTicks: Number(fields[19] ?? -1),
  };
};

const readThread = Effect.fnUntraced(function* (directory: string, tid: number) {
  const fs = yield* FileSystem.FileSystem;
  const read = (name: string) => fs.readFileString(`${directory}/${tid}/${name}`);
  const { state, lastCpu } = parseStat(yield* read("stat"));
  const list = /^Cpus_allowed_list:\t(.*)$/m.exec(yield* read("status"))?.[1] ?? "";
  const ranNanos = BigInt(/^\d+/.exec(yield* read("schedstat"))?.[0] ?? 0);
  return { tid, state, lastCpu, allowedCpus: parseKernelCpuList(list), ranNanos };
});

/**
 * The threads of a process now, by tid.
 *
 * @since 0.1.0
 */
export const threadsOf = Effect.fn("ProcessWatch.threadsOf")(function* (
  pid: number,
): Effect.fn.Return<ReadonlyArray<ThreadReport>, ProcessGone, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem;
  const directory = `/proc/${pid}/task`;
  const names = yield* Effect.mapError(fs.readDirectory(directory), () => new ProcessGone({ pid }));
  const threads = yield* Effect.forEach(names, (name) =>
    // One that ended since the list was made.
    Effect.option(readThread(directory, Number(name))),
  );
  const there = threads.flatMap((thread) => (thread._tag === "Some" ? [thread.value] : []));
  // A zombie's first thread stays until it is waited for.
  if (there.every(({ state }) => state === "Z" || state === "X")) {
    return yield* new ProcessGone({ pid });
  }
  return there.sort((a, b) => a.tid - b.tid);
});

/**
 * What the process is now and after each of its acknowledgements, until it ends.
 *
 * @since 0.1.0
 */
export const watchProcess = (
  pid: number,
): Stream.Stream<
  ProcessReport,
  { readonly code: string; readonly message: string },
  Acknowledgements | FileSystem.FileSystem
> =>
  Stream.unwrap(
    Effect.map(Acknowledgements, ({ changes }) =>
      changes.pipe(
        Stream.map(({ runtimes }) => runtimes.find((runtime) => runtime.pid === pid)),
        Stream.changesWith((a, b) => a?.generation === b?.generation),
        Stream.mapEffect((runtime) =>
          Effect.map(threadsOf(pid), (threads): ProcessReport => ({
            pid,
            threads,
            generation: runtime?.generation,
            adaptedMs: runtime?.adaptedMs,
          })),
        ),
        Stream.catchIf(
          (failure) => failure instanceof ProcessGone,
          () => Stream.empty,
        ),
      ),
    ),
  );
