/**
 * Many commands over one stream to an agent. Plain callbacks: the supervisor forwards frames between
 * streams with it, and `Command.ts` makes effects of it.
 *
 * @since 0.1.0
 */
import type { Duplex } from "node:stream";
import { Decoder, encode, FrameType } from "./Frame.ts";

/** @since 0.1.0 */
export interface ChannelHandler {
  readonly frame: (type: number, payload: Buffer) => void;
  /** The stream has gone, and the channel with it. */
  readonly lost: (reason: string) => void;
}

/** @since 0.1.0 */
export interface Channel {
  readonly send: (type: number, payload?: Uint8Array) => void;
}

/** @since 0.1.0 */
export class Mux {
  readonly #stream: Duplex;
  readonly #decoder = new Decoder();
  readonly #channels = new Map<number, ChannelHandler>();
  readonly #readyWaiters: Array<(lost: string | undefined) => void> = [];
  readonly #lostWaiters: Array<(reason: string) => void> = [];
  #next = 1;
  #ready = false;
  #lost: string | undefined;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("error", (error: Error) => this.close(error.message));
    stream.on("close", () => this.close("the connection closed"));
    stream.on("end", () => this.close("the connection ended"));
  }

  /** Calls back once the agent has said hello, with the reason if it never will. */
  whenReady(callback: (lost: string | undefined) => void): void {
    if (this.#ready || this.#lost !== undefined) callback(this.#lost);
    else this.#readyWaiters.push(callback);
  }

  whenLost(callback: (reason: string) => void): void {
    if (this.#lost !== undefined) callback(this.#lost);
    else this.#lostWaiters.push(callback);
  }

  get lost(): string | undefined {
    return this.#lost;
  }

  open(handler: ChannelHandler): Channel {
    if (this.#lost !== undefined) {
      handler.lost(this.#lost);
      return { send: () => undefined };
    }
    while (this.#channels.has(this.#next)) this.#next = (this.#next % 0xffff_fffe) + 1;
    const channel = this.#next++;
    this.#channels.set(channel, handler);
    return {
      send: (type, payload) => {
        if (this.#channels.has(channel)) this.#stream.write(encode(channel, type, payload));
      },
    };
  }

  close(reason: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    this.#stream.destroy();
    const handlers = [...this.#channels.values()];
    this.#channels.clear();
    for (const handler of handlers) handler.lost(reason);
    for (const waiter of [...this.#readyWaiters.splice(0), ...this.#lostWaiters.splice(0)]) {
      waiter(reason);
    }
  }

  #receive(chunk: Buffer): void {
    const frames = this.#decoder.push(chunk);
    if (frames === undefined) {
      this.close("the agent's stream is garbled");
      return;
    }
    for (const { channel, type, payload } of frames) {
      if (type === FrameType.Hello) {
        this.#ready = true;
        for (const waiter of this.#readyWaiters.splice(0)) waiter(undefined);
      } else if (type === FrameType.Unreachable) {
        this.close(payload.toString());
      } else {
        const handler = this.#channels.get(channel);
        if (type === FrameType.Exit) this.#channels.delete(channel);
        handler?.frame(type, payload);
      }
    }
  }
}
