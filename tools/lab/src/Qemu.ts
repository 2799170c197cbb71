/**
 * How QEMU is started: the machine, and the flags without which a nested guest dies under emulation.
 * Why each flag is there: docs/lab.md.
 *
 * @since 0.1.0
 */
import type { Shape } from "./Shape.ts";

/** @since 0.1.0 */
export type Accelerator = "kvm" | "tcg";

/** @since 0.1.0 */
export interface Machine {
  readonly shape: Shape;
  readonly accelerator: Accelerator;
  readonly qemu: string;
  /** The hypervisor: the ELF image that multiboot takes. */
  readonly xen: string;
  /** dom0's kernel (bzImage), initramfs and root disk. */
  readonly kernel: string;
  readonly initramfs: string;
  readonly disk: string;
  /** Directories that dom0 mounts, by mount tag. */
  readonly shares: ReadonlyArray<{
    readonly tag: string;
    readonly path: string;
    readonly writable: boolean;
  }>;
  /** Unix sockets: the agent's stream (listened on by us), and QEMU's own monitor (listened on by QEMU). */
  readonly agentSocket: string;
  readonly serialLog: string;
  readonly xenArguments: ReadonlyArray<string>;
  /** Passed on as they are, last. */
  readonly extra: ReadonlyArray<string>;
}

/** Memory of dom0, MiB. @since 0.1.0 */
export const dom0MiB = 1024;

const cpuModel = { kvm: "host", tcg: "max,-smap,-smep,-rdtscp,-pku,-la57,-xsave" } as const;

/** @since 0.1.0 */
export const xenCommandLine = (machine: Machine): string =>
  [
    "com1=115200,8n1 console=com1 noreboot loglvl=all guest_loglvl=all",
    `dom0_mem=${String(dom0MiB)}M,max:${String(dom0MiB)}M dom0_max_vcpus=2`,
    // Scrubbing would touch, hence allocate, all of the host's memory.
    "bootscrub=0",
    "spec-ctrl=no xpti=no",
    "sched_credit2_migrate_resist=0",
    ...(machine.accelerator === "tcg" ? ["smap=0 smep=0"] : []),
    ...machine.xenArguments,
  ].join(" ");

/** CPUs, memory and distances of the nodes. @since 0.1.0 */
export const nodeArguments = (shape: Shape): ReadonlyArray<string> => {
  const perNode = shape.cpus / shape.nodes;
  const nodeMiB = shape.memoryMiB / shape.nodes;
  const nodes = Array.from({ length: shape.nodes }, (_, node) => node);
  return [
    ...[
      "-smp",
      `${String(shape.cpus)},sockets=${String(shape.nodes)},cores=${String(perNode)},threads=1`,
    ],
    ...["-m", `${String(shape.memoryMiB)}M`],
    ...nodes.flatMap((node) => [
      "-object",
      `memory-backend-ram,id=pnode${String(node)},size=${String(nodeMiB)}M`,
      "-numa",
      `node,nodeid=${String(node)},cpus=${String(node * perNode)}-${String((node + 1) * perNode - 1)},memdev=pnode${String(node)}`,
    ]),
    ...shape.distances.flatMap((row, src) =>
      row.flatMap((value, dst) => [
        "-numa",
        `dist,src=${String(src)},dst=${String(dst)},val=${String(value)}`,
      ]),
    ),
  ];
};

/** @since 0.1.0 */
export const qemuArguments = (machine: Machine): ReadonlyArray<string> => {
  const { shape, accelerator } = machine;
  return [
    // One that was built looks for firmware beside itself.
    ...["-L", "/usr/share/qemu", "-L", "/usr/share/seabios"],
    ...["-nodefaults", "-no-reboot", "-display", "none", "-net", "none"],
    ...["-machine", `q35,kernel-irqchip=${accelerator === "kvm" ? "on" : "off"}`],
    ...["-accel", accelerator === "kvm" ? "kvm" : "tcg,thread=multi,tb-size=1024"],
    ...["-cpu", cpuModel[accelerator]],
    ...nodeArguments(shape),
    ...["-drive", `file=${machine.disk},format=raw,if=none,id=root,snapshot=on,cache=unsafe`],
    ...["-device", "virtio-blk-pci,drive=root"],
    ...machine.shares.flatMap(({ tag, path, writable }) => [
      "-fsdev",
      `local,id=${tag},path=${path},security_model=none${writable ? "" : ",readonly=on"}`,
      "-device",
      `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`,
    ]),
    ...["-chardev", `socket,id=agent,path=${machine.agentSocket}`],
    ...[
      "-device",
      "virtio-serial-pci",
      "-device",
      "virtserialport,chardev=agent,name=virtflex.lab",
    ],
    ...["-serial", `file:${machine.serialLog}`],
    ...["-kernel", machine.xen, "-append", xenCommandLine(machine)],
    ...[
      "-initrd",
      `${machine.kernel} console=hvc0 mitigations=off nokaslr panic=1 quiet,${machine.initramfs}`,
    ],
    ...machine.extra,
  ];
};
