/** `virtflex rehome` on a Xen with the patches: what it says, and where Xen has the memory and the vCPU afterwards. */
import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { onLab } from "../../tools/lab/src/Testing.ts";
import * as Cg from "../../tools/lab/src/whole/Cg.ts";
import * as Subject from "../../tools/lab/src/whole/Subject.ts";
import { placement } from "./programs.ts";

const mibPages = 256;

describe("virtflex rehome", () => {
  it(
    "moves a vnode's memory and its vCPU while CG runs; what the vnode gives back and takes again comes from its new pnode",
    onLab(function* (lab) {
      const subject = yield* Subject.make(lab, "virtflex-rehome");
      const cg = yield* Cg.start(subject.guest);
      yield* cg.next;
      const now = placement(lab, String(subject.domain));
      const hardAffinity = Effect.map(
        lab.dom0.check(`xl vcpu-list ${subject.name}`),
        (text) => /^\S+ +\d+ +1 .* (\S+) \/ \S+$/m.exec(text)?.[1],
      );
      const rehome = (pnode: number) =>
        subject.virtflex([
          ...["rehome", subject.name, "--vnode", "1", "--pnode", String(pnode)],
          ...["--timeout", "300s", "--json"],
        ]);
      const on = (pages: ReadonlyArray<number>, pnode: number) => (pages[pnode] ?? 0) / mibPages;

      const start = yield* now;
      expect([start.pnodes, yield* hardAffinity]).toEqual([[0, 1, 2, 3], "2-3"]);
      const { status, stdout, stderr } = yield* rehome(2);
      expect({ status, said: stderr.toString() }).toMatchObject({ status: 0 });
      expect(JSON.parse(stdout.toString())).toMatchObject({ result: "done" });
      yield* cg.next;
      const moved = yield* now;
      expect([moved.pnodes, yield* hardAffinity]).toEqual([[0, 2, 2, 3], "4-5"]);
      expect(on(start.pages, 1) - on(moved.pages, 1)).toBeGreaterThan(Subject.vnodeMiB * 0.95);
      expect(on(moved.pages, 2) - on(start.pages, 2)).toBeGreaterThan(Subject.vnodeMiB * 0.95);

      expect(yield* subject.change("shrink", "1")).toMatchObject({ result: "done" });
      const shrunk = yield* now;
      expect(on(moved.pages, 2) - on(shrunk.pages, 2)).toBeGreaterThan(16);
      expect(yield* subject.change("expand", "1")).toMatchObject({ result: "done" });
      const expanded = yield* now;
      expect(Math.abs(on(expanded.pages, 2) - on(moved.pages, 2))).toBeLessThan(4);
      expect(Math.abs(on(expanded.pages, 1) - on(moved.pages, 1))).toBeLessThan(1);

      expect((yield* rehome(1)).status).toBe(0);
      yield* cg.next;
      const back = yield* now;
      expect([back.pnodes, yield* hardAffinity]).toEqual([[0, 1, 2, 3], "2-3"]);
      expect(Math.abs(on(back.pages, 1) - on(start.pages, 1))).toBeLessThan(4);

      const zetas = yield* cg.zetas;
      expect(zetas.length).toBeGreaterThan(2);
      expect(zetas.every(Cg.isRight)).toBe(true);
    }),
    30 * 60_000,
  );
});
