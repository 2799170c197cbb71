import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import type { Host, Lab } from "../src/Lab.ts";
import { onLab } from "../src/Testing.ts";

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

const hosts: ReadonlyArray<readonly [string, (lab: Lab) => ReturnType<Lab["guest"]>]> = [
  ["dom0", (lab) => Effect.succeed(lab.dom0)],
  ["the guest", (lab) => lab.guest()],
];

describe.each(hosts)("commands in %s", (_, of) => {
  it(
    "give stdout, stderr and status apart",
    onLab(function* (lab) {
      const host = yield* of(lab);
      const { status, stdout, stderr } = yield* host.run("echo out; echo err >&2; exit 7");
      expect([status, stdout.toString(), stderr.toString()]).toEqual([7, "out\n", "err\n"]);
      expect((yield* host.run("kill -9 $$")).status).toBe(128 + 9);
      expect((yield* host.run("cat", { stdin: "fed" })).stdout.toString()).toBe("fed");
      const error = yield* Effect.flip(host.exec(["/no/such/program"]));
      expect([error._tag, error.message]).toEqual([
        "NotStarted",
        expect.stringContaining("no such file"),
      ]);
    }),
  );

  it(
    "run at the same time, each with its own output",
    onLab(function* (lab) {
      const host = yield* of(lab);
      const count = 20;
      const numbers = Array.from({ length: count }, (_, i) => String(i));
      const outputs = numbers.map(() => "");
      const all = Promise.withResolvers<undefined>();
      // None gets its input before all have begun.
      const answer = async function* (text: string) {
        await all.promise;
        yield Buffer.from(text);
      };
      yield* Effect.forEach(
        numbers,
        (text, i) =>
          host.run("echo begun; cat", {
            stdin: answer(text),
            timeout: "4 minutes",
            onStdout: (chunk) => {
              outputs[i] = `${outputs[i] ?? ""}${chunk.toString()}`;
              if (outputs.every((output) => output.startsWith("begun"))) all.resolve(undefined);
            },
          }),
        { concurrency: "unbounded" },
      );
      expect(outputs).toEqual(numbers.map((text) => `begun\n${text}`));
    }),
  );

  it(
    "carry megabytes both ways unchanged, and one that stands still holds up no other",
    onLab(function* (lab) {
      const host = yield* of(lab);
      const data = randomBytes(3 * 1024 * 1024 + 17);
      // Takes no input and fills its output, for as long as the other runs.
      const stuck = host.run("yes >&2 & sleep 200", {
        stdin: data,
        onStderr: () => undefined,
        timeout: "10 minutes",
      });
      const fiber = yield* Effect.forkChild(stuck);
      const { stdout } = yield* host.run("cat", { stdin: data, timeout: "4 minutes" });
      expect(sha256(stdout)).toBe(sha256(data));
      expect(fiber.pollUnsafe()).toBeUndefined();
    }),
  );

  it(
    "that take too long are killed with all that they started, and say what they had said",
    onLab(function* (lab) {
      const host = yield* of(lab);
      const marker = `lab-${randomBytes(4).toString("hex")}`;
      const error = yield* Effect.flip(
        host.run(`echo begun; trap '' TERM; sh -c 'sleep 300; : ${marker}' & wait; sleep 300`, {
          timeout: "4 seconds",
        }),
      );
      expect(error._tag).toBe("TimedOut");
      expect(error._tag === "TimedOut" && Buffer.from(error.stdout).toString()).toBe("begun\n");
      const { stdout } = yield* host.run(`ps ax -o args | grep '${marker}' | grep -v grep`);
      expect(stdout.toString()).toBe("");
    }),
  );

  it(
    "push and pull files byte for byte, with their mode, whole or not at all",
    onLab(function* (lab) {
      const host: Host = yield* of(lab);
      const data = randomBytes(500_001);
      yield* host.push(data, "/tmp/pushed", "750");
      expect(sha256(yield* host.pull("/tmp/pushed"))).toBe(sha256(data));
      expect((yield* host.check("stat -c %a /tmp/pushed")).trim()).toBe("750");
      const error = yield* Effect.flip(host.push(data, "/no/such/folder/file"));
      expect(error._tag).toBe("CommandFailed");
      expect((yield* Effect.flip(host.pull("/tmp/absent")))._tag).toBe("CommandFailed");
      yield* host.check("rm /tmp/pushed; ! ls /tmp/pushed* 2>/dev/null");
    }),
  );
});
