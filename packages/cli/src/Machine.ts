/**
 * This machine's CPUs, as far as this process may use them.
 */
import { NumaKeys } from "@virtflex/topo-model";
import { Effect, FileSystem, Schema } from "effect";

export class CpusUnknown extends Schema.TaggedError<CpusUnknown>()("CpusUnknown", {
  detail: Schema.String,
}) {
  readonly code = "CPUS_UNKNOWN";
  override get message(): string {
    return `Can't tell which CPUs this process may use: ${this.detail}`;
  }
}

/** `Cpus_allowed_list` of proc_pid_status(5): affinity and cpuset taken together. */
export const allowedCpus = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem;
  const text = yield* fs.readFileString("/proc/self/status");
  const list = /^Cpus_allowed_list:\t(.*)$/m.exec(text)?.[1] ?? "";
  return yield* Effect.fromResult(NumaKeys.parseCpuList(list));
}).pipe(Effect.mapError(({ message }) => new CpusUnknown({ detail: message })));
