/**
 * The lab's command protocol, as agent/frame.h defines it: frames on one byte stream, one channel a command,
 * flow control a stream.
 *
 * @since 0.1.0
 */

/** Largest payload, bytes. @since 0.1.0 */
export const maxPayload = 65_536;

/** Credit of a fresh stream, bytes. @since 0.1.0 */
export const window = 262_144;

/** @since 0.1.0 */
export const FrameType = {
  Exec: 1,
  Stdin: 2,
  Signal: 3,
  Hello: 16,
  Stdout: 17,
  Stderr: 18,
  Exit: 19,
  Credit: 32,
  /** From the supervisor alone, on channel 0: the machine asked for can't be reached; the payload says why. */
  Unreachable: 64,
} as const;

/** How a command ended. @since 0.1.0 */
export const ExitKind = { Exited: 0, Signaled: 1, NotRun: 2 } as const;

/** @since 0.1.0 */
export interface Frame {
  readonly channel: number;
  readonly type: number;
  readonly payload: Buffer;
}

const headerBytes = 12;

/** @since 0.1.0 */
export const encode = (
  channel: number,
  type: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer => {
  const frame = Buffer.allocUnsafe(headerBytes + payload.length);
  frame.writeUInt32LE(channel, 0);
  frame.writeUInt32LE(type, 4);
  frame.writeUInt32LE(payload.length, 8);
  frame.set(payload, headerBytes);
  return frame;
};

/** A payload of two numbers: EXIT, CREDIT. @since 0.1.0 */
export const pair = (first: number, second: number): Buffer => {
  const payload = Buffer.allocUnsafe(8);
  payload.writeUInt32LE(first, 0);
  payload.writeUInt32LE(second, 4);
  return payload;
};

/** A payload of one number: SIGNAL. @since 0.1.0 */
export const single = (value: number): Buffer => {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32LE(value, 0);
  return payload;
};

/** Reads a payload of two numbers; `undefined` if it is none. @since 0.1.0 */
export const readPair = (payload: Buffer): readonly [number, number] | undefined =>
  payload.length === 8 ? [payload.readUInt32LE(0), payload.readUInt32LE(4)] : undefined;

/**
 * Cuts a byte stream into frames. What a guest sends is not trusted: `push` gives `undefined` for a stream that breaks the
 * protocol, and holds at most one frame.
 *
 * @since 0.1.0
 */
export class Decoder {
  #pending: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): ReadonlyArray<Frame> | undefined {
    const data = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const frames: Array<Frame> = [];
    let at = 0;
    while (data.length - at >= headerBytes) {
      const length = data.readUInt32LE(at + 8);
      if (length > maxPayload) return undefined;
      const end = at + headerBytes + length;
      if (end > data.length) break;
      frames.push({
        channel: data.readUInt32LE(at),
        type: data.readUInt32LE(at + 4),
        payload: data.subarray(at + headerBytes, end),
      });
      at = end;
    }
    this.#pending = data.subarray(at);
    return frames;
  }
}
