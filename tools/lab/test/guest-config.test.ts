import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import * as GuestConfig from "../src/GuestConfig.ts";
import * as Shape from "../src/Shape.ts";

const shape = (options: Shape.ShapeOptions) => Effect.runSync(Shape.make(options));
const complete = (text: string) => Effect.runSync(GuestConfig.complete(text));

describe("the standard guest", () => {
  it("has a vnode on each pnode, pinned, with the host's distances", () => {
    const { text } = GuestConfig.standard(shape({}), "guest1");
    expect(text).toContain('name = "guest1"');
    expect(text).toContain("vcpus = 8");
    expect(text).toContain('cpus = ["0-1", "0-1", "2-3", "2-3", "4-5", "4-5", "6-7", "6-7"]');
    expect(text).toContain('["pnode=2", "size=384", "vcpus=4-5", "vdistances=32,32,10,16"]');
    expect(text).toContain("memory = 1536\nmaxmem = 1536");
  });

  it.each([
    { nodes: 1 },
    { nodes: 2, memory: "4G" },
    { nodes: 8, cpus: 8 },
    { nodes: 4, cpus: 16, memory: "3G" },
  ])("fits twice into a host of shape %j", (options) => {
    const host = shape(options);
    const { text } = GuestConfig.standard(host, "guest1");
    const memory = Number(/^memory = (\d+)$/m.exec(text)?.[1]);
    expect(memory).toBeGreaterThanOrEqual(96 * host.nodes);
    expect(memory % (2 * host.nodes)).toBe(0);
    expect(2 * memory + 1024).toBeLessThanOrEqual(host.memoryMiB);
    expect(text.match(/pnode=/g)).toHaveLength(host.nodes);
    expect(Number(/^vcpus = (\d+)$/m.exec(text)?.[1])).toBeLessThanOrEqual(host.cpus);
  });
});

describe("a configuration of the user's", () => {
  it("gets what it lacks, and keeps what it has", () => {
    const { name, text } = complete("name='web'\nmemory=512\nkernel = '/root/my-vmlinux'\n");
    expect(name).toBe("web");
    expect(text).toContain("kernel = '/root/my-vmlinux'");
    expect(text.match(/^kernel/gm)).toHaveLength(1);
    expect(text).toContain('tsc_mode = "native"');
    expect(text).toContain('type = "pvh"');
  });

  it("takes a key in a comment for no key", () => {
    expect(complete('name="a"\n# type = "hvm"\n').text).toContain('type = "pvh"');
  });

  it.each([
    "",
    "memory=512",
    'name=""',
    'name="a b"',
    'name="../x"',
    'name="dom0"',
    'name="guest"',
  ])("is refused with the name in %j", (text) => {
    expect(Effect.runSync(Effect.flip(GuestConfig.complete(text)))._tag).toBe("InvalidOption");
  });
});
