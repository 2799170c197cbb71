import { describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import * as Shape from "../src/Shape.ts";
import { type Machine, qemuArguments, xenCommandLine } from "../src/Qemu.ts";

const machine = (options: Shape.ShapeOptions, overrides: Partial<Machine> = {}): Machine => ({
  shape: Effect.runSync(Shape.make(options)),
  accelerator: "tcg",
  qemu: "/c/qemu-system-x86_64",
  xen: "/c/xen",
  kernel: "/c/vmlinuz",
  initramfs: "/c/dom0.cpio",
  disk: "/c/dom0.img",
  shares: [
    { tag: "logs", path: "/s/logs", writable: true },
    { tag: "repo", path: "/r", writable: false },
  ],
  agentSocket: "/s/agent.sock",
  serialLog: "/s/host.log",
  xenArguments: [],
  extra: [],
  ...overrides,
});

const after = (args: ReadonlyArray<string>, flag: string) =>
  args.filter((_, index) => args[index - 1] === flag);

describe("QEMU's arguments", () => {
  it("describe each node with its CPUs and memory, and every pair's distance", () => {
    const args = qemuArguments(
      machine({ nodes: 2, cpus: 6, memory: "4G", distances: "10,21/17,10" }),
    );
    expect(after(args, "-smp")).toEqual(["6,sockets=2,cores=3,threads=1"]);
    expect(after(args, "-m")).toEqual(["4096M"]);
    expect(after(args, "-object")).toEqual([
      "memory-backend-ram,id=pnode0,size=2048M",
      "memory-backend-ram,id=pnode1,size=2048M",
    ]);
    expect(after(args, "-numa")).toEqual([
      "node,nodeid=0,cpus=0-2,memdev=pnode0",
      "node,nodeid=1,cpus=3-5,memdev=pnode1",
      "dist,src=0,dst=0,val=10",
      "dist,src=0,dst=1,val=21",
      "dist,src=1,dst=0,val=17",
      "dist,src=1,dst=1,val=10",
    ]);
  });

  it("hide under emulation what breaks there, and nothing under KVM", () => {
    const emulated = qemuArguments(machine({}));
    for (const feature of ["-smap", "-rdtscp", "-xsave"]) {
      expect(after(emulated, "-cpu")[0]?.split(",")).toContain(feature);
    }
    expect(after(emulated, "-accel")[0]).toContain("thread=multi");
    expect(xenCommandLine(machine({}))).toContain("smap=0");

    const kvm = machine({}, { accelerator: "kvm" });
    expect(after(qemuArguments(kvm), "-cpu")).toEqual(["host"]);
    expect(xenCommandLine(kvm)).not.toContain("smap=0");
  });

  it("let no vCPU of the least credit be left in the queue", () => {
    expect(xenCommandLine(machine({}))).toContain(" sched_credit2_migrate_resist=0 ");
  });

  it("never write to the cached disk, and share the checkout read-only", () => {
    const args = qemuArguments(machine({}));
    expect(after(args, "-drive")[0]).toContain("snapshot=on");
    const shares = after(args, "-fsdev");
    expect(shares.find((share) => share.includes("id=repo"))).toContain("readonly=on");
    expect(shares.find((share) => share.includes("id=logs"))).not.toContain("readonly");
  });

  it("end with what the caller adds", () => {
    const args = qemuArguments(
      machine({}, { extra: ["-plugin", "/x.so"], xenArguments: ["sched=null"] }),
    );
    expect(args.slice(-2)).toEqual(["-plugin", "/x.so"]);
    expect(xenCommandLine(machine({}, { xenArguments: ["sched=null"] }))).toMatch(/ sched=null$/);
  });
});
