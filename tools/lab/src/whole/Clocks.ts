/**
 * One clock for several machines: this process', against which each machine's CLOCK_REALTIME is measured.
 *
 * @since 0.1.0
 */
import { Effect } from "effect";
import type { Host } from "../Lab.ts";

/** A machine's CLOCK_REALTIME less this process' wall clock. @since 0.1.0 */
export interface Offset {
  readonly offsetMs: number;
  /** The offset is right within this much: half of the quickest exchange. */
  readonly errorMs: number;
}

/** Milliseconds since the epoch, by a clock that is never set. @since 0.1.0 */
export const nowMs = (): number => performance.timeOrigin + performance.now();

const exchanges = 12;

/**
 * Asks a machine for its time, several times, and takes the quickest answer, as NTP does: it was given between question and answer.
 *
 * @since 0.1.0
 */
export const align = Effect.fn("Clocks.align")(function* (host: Host) {
  const found: Array<Offset> = [];
  let askedAt = 0;
  let answered = (): void => undefined;
  const questions = async function* () {
    for (let i = 0; i < exchanges; i += 1) {
      const answer = new Promise<void>((resolve) => (answered = resolve));
      askedAt = nowMs();
      yield Buffer.from("\n");
      await answer;
    }
  };
  yield* host.exec(["bash", "-c", 'while read -r _; do echo "$EPOCHREALTIME"; done'], {
    stdin: questions(),
    onStdout: (chunk) => {
      const now = nowMs();
      const theirs = Number(chunk.toString()) * 1e3;
      found.push({ offsetMs: theirs - (askedAt + now) / 2, errorMs: (now - askedAt) / 2 });
      answered();
    },
  });
  return found.reduce((best, each) => (each.errorMs < best.errorMs ? each : best));
});
