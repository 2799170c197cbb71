import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import * as Frame from "../src/Frame.ts";

describe("frames", () => {
  it("come out as they went in, however the stream is cut", () => {
    const frame = fc.record({
      channel: fc.nat(0xffff_ffff),
      type: fc.nat(255),
      payload: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 })),
        (frames, cuts) => {
          const bytes = Buffer.concat(
            frames.map((f) => Frame.encode(f.channel, f.type, f.payload)),
          );
          const decoder = new Frame.Decoder();
          const out: Array<Frame.Frame> = [];
          let at = 0;
          for (const cut of [...cuts, bytes.length]) {
            out.push(...(decoder.push(bytes.subarray(at, at + cut)) ?? []));
            at += cut;
          }
          expect(out.map((f) => [f.channel, f.type, [...f.payload]])).toEqual(
            frames.map((f) => [f.channel, f.type, [...f.payload]]),
          );
        },
      ),
    );
  });

  it("longer than allowed are refused before they are stored", () => {
    const header = Buffer.alloc(12);
    header.writeUInt32LE(Frame.maxPayload + 1, 8);
    expect(new Frame.Decoder().push(header)).toBeUndefined();
  });

  it("random bytes never throw", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (chunks) => {
        const decoder = new Frame.Decoder();
        for (const chunk of chunks) if (decoder.push(Buffer.from(chunk)) === undefined) break;
      }),
    );
  });

  it("mean the same to the agent: the numbers are frame.h's", () => {
    const header = readFileSync(join(import.meta.dirname, "..", "agent", "frame.h"), "utf8");
    const value = (name: string) =>
      Number(new RegExp(`\\bVF_${name}\\s*=?\\s*(\\d+)`).exec(header)?.[1]);
    for (const [name, number] of Object.entries(Frame.FrameType)) {
      if (name !== "Unreachable") expect([name, value(name.toUpperCase())]).toEqual([name, number]);
    }
    expect(value("FRAME_MAX")).toBe(Frame.maxPayload);
    expect(value("WINDOW")).toBe(Frame.window);
    expect(value("EXITED")).toBe(Frame.ExitKind.Exited);
    expect(value("SIGNALED")).toBe(Frame.ExitKind.Signaled);
    expect(value("NOT_RUN")).toBe(Frame.ExitKind.NotRun);
  });
});
