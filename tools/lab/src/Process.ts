/**
 * One command over a `Mux`: splits what it is fed into frames, keeps to the credit, gives credit back.
 *
 * @since 0.1.0
 */
import { Duplex } from "node:stream";
import { FrameType, maxPayload, pair, readPair, single, window } from "./Frame.ts";
import type { Channel, Mux } from "./Mux.ts";

/** @since 0.1.0 */
export interface ProcessHandler {
  readonly stdout: (chunk: Buffer) => void;
  readonly stderr: (chunk: Buffer) => void;
  /** `kind` of `ExitKind`, and its value: status, signal or errno. */
  readonly exit: (kind: number, value: number) => void;
  readonly lost: (reason: string) => void;
}

/** @since 0.1.0 */
export class Process {
  readonly #channel: Channel;
  readonly #input: Array<{ readonly data: Uint8Array; readonly taken: () => void }> = [];
  #credit = window;
  #inputEnded = false;
  #over = false;

  constructor(mux: Mux, argv: ReadonlyArray<string>, handler: ProcessHandler) {
    this.#channel = mux.open({
      frame: (type, payload) => {
        switch (type) {
          case FrameType.Stdout:
          case FrameType.Stderr:
            this.#channel.send(FrameType.Credit, pair(type, payload.length));
            handler[type === FrameType.Stdout ? "stdout" : "stderr"](payload);
            break;
          case FrameType.Credit:
            this.#credit += readPair(payload)?.[1] ?? 0;
            this.#feed();
            break;
          case FrameType.Exit: {
            const [kind, value] = readPair(payload) ?? [0, 255];
            this.#finish();
            handler.exit(kind, value);
          }
        }
      },
      lost: (reason) => {
        this.#finish();
        handler.lost(reason);
      },
    });
    this.#channel.send(FrameType.Exec, Buffer.from(argv.map((word) => `${word}\0`).join("")));
  }

  /** Calls back once the command's side has room for all of it, or has ended. */
  write(data: Uint8Array, taken: () => void): void {
    if (this.#over || data.length === 0) {
      taken();
      return;
    }
    this.#input.push({ data, taken });
    this.#feed();
  }

  endInput(): void {
    this.#inputEnded = true;
    this.#feed();
  }

  /** To the whole process group. */
  signal(number: number): void {
    if (!this.#over) this.#channel.send(FrameType.Signal, single(number));
  }

  #feed(): void {
    for (let head = this.#input[0]; head !== undefined && this.#credit > 0; head = this.#input[0]) {
      const size = Math.min(this.#credit, maxPayload, head.data.length);
      this.#channel.send(FrameType.Stdin, head.data.subarray(0, size));
      this.#credit -= size;
      if (size < head.data.length) {
        this.#input[0] = { data: head.data.subarray(size), taken: head.taken };
      } else {
        this.#input.shift();
        head.taken();
      }
    }
    if (this.#inputEnded && this.#input.length === 0 && !this.#over) {
      this.#inputEnded = false;
      this.#channel.send(FrameType.Stdin);
    }
  }

  #finish(): void {
    this.#over = true;
    for (const { taken } of this.#input.splice(0)) taken();
  }
}

/** A command's stdin and stdout as a stream: how a guest's agent is reached through dom0. @since 0.1.0 */
export const duplexOf = (
  mux: Mux,
  argv: ReadonlyArray<string>,
  onStderr: (chunk: Buffer) => void,
): Duplex => {
  const duplex = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, callback) => process.write(chunk, callback),
    final: (callback) => {
      process.endInput();
      callback();
    },
    destroy: (error, callback) => {
      process.signal(15);
      callback(error);
    },
  });
  const process = new Process(mux, argv, {
    stdout: (chunk) => void duplex.push(chunk),
    stderr: onStderr,
    exit: () => void duplex.push(null),
    lost: (reason) => void duplex.destroy(new Error(reason)),
  });
  return duplex;
};
