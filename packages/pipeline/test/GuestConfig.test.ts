import { expect, test } from "@jest/globals";
import { Result } from "effect";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseGuestConfig, printXlConfig } from "../src/index.ts";
import { config } from "./support.ts";

const guest = {
  name: "web",
  kernel: "/boot/vmlinuz",
  cmdline: "root=/dev/xvda",
  vnodes: [
    { pnode: 2, memoryMib: 512, vcpus: 2 },
    { pnode: 3, memoryMib: 256, vcpus: 1 },
  ],
  xl: { disk: ["phy:/dev/vg/web,xvda,w"], on_crash: "destroy" },
};

test("the example of docs/quickstart-xen.md is a configuration", () => {
  const text = readFileSync(join(import.meta.dirname, "../../../docs/quickstart-xen.md"), "utf8");
  const [example = ""] = /^\{\n.*?^\}\n/ms.exec(text) ?? [];
  expect(Result.getOrThrow(parseGuestConfig(example)).name).toBe("web");
});

test("our configuration as xl's, with the host's distances", () => {
  const read = Result.getOrThrow(parseGuestConfig(JSON.stringify(guest)));
  expect(printXlConfig(read, config.host).split("\n")).toEqual([
    'name = "web"',
    'type = "pvh"',
    'kernel = "/boot/vmlinuz"',
    'cmdline = "root=/dev/xvda"',
    "vcpus = 3",
    "memory = 768",
    "maxmem = 768",
    'vnuma = [["pnode=2", "size=512", "vcpus=0-1", "vdistances=10,20"], ["pnode=3", "size=256", "vcpus=2", "vdistances=20,10"]]',
    'disk = ["phy:/dev/vg/web,xvda,w"]',
    'on_crash = "destroy"',
    "",
  ]);
});

const bad: ReadonlyArray<readonly [why: string, text: string, says: string]> = [
  ["is no JSON", "{", "JSON"],
  ["has no vnode", JSON.stringify({ ...guest, vnodes: [] }), "vnodes"],
  ["has a field that nobody knows", JSON.stringify({ ...guest, vcpu: 3 }), "vcpu"],
  ["ends a string early", JSON.stringify({ ...guest, kernel: '/k"\nvif=[""]' }), "kernel"],
  ["sets what is no name of xl's", JSON.stringify({ ...guest, xl: { "a b": 1 } }), "a b"],
  [
    "has a vnode without memory",
    JSON.stringify({ ...guest, vnodes: [{ pnode: 0, memoryMib: 0, vcpus: 1 }] }),
    "vnodes.0.memoryMib",
  ],
];

test.each(bad)("a configuration that %s is refused, and says where", (_, text, says) => {
  const refused = Result.flip(parseGuestConfig(text));
  const error = Result.getOrThrow(refused);
  expect(error.code).toBe("BAD_GUEST_CONFIG");
  expect(error.detail).toContain(says);
});
