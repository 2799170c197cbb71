/**
 * What the lab is built from, by stages: scripts in `../stages`, the lists of Debian packages and kernel modules here.
 *
 * @since 0.1.0
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Effect } from "effect";
import { InvalidOption } from "./LabError.ts";
import type { Stage } from "./Stage.ts";

/** @since 0.1.0 */
export interface Flavour {
  /** `debug`: assertions and extra checks in the hypervisor; `stock`: without `xen/patches`, which Xen's libraries keep. */
  readonly xen: "release" | "debug" | "stock";
  /**
   * The guests' kernel: Debian's (`stock`, if it isn't said), or one built from Debian's source with `kernel/patches`. `debug` has
   * Linux' own checks as well, and does without patches where there are none.
   */
  readonly kernel?: "stock" | "patched" | "debug" | undefined;
}

const lab = join(import.meta.dirname, "..");
const workspace = join(lab, "..", "..");
const script = (name: string) => join(lab, "stages", `${name}.sh`);
const list = (text: string) => text.trim().split(/\s+/).join("\n");

const buildPackages = list(`
  build-essential bison flex python3-dev python3-setuptools python-is-python3 acpica-tools libglib2.0-dev
  liblzma-dev libncurses-dev libpixman-1-dev libyajl-dev pkg-config uuid-dev zlib1g-dev libzstd-dev libaio-dev
  libext2fs-dev libxen-dev file bc perl ccache autoconf automake libelf-dev kmod cpio
  ninja-build meson libfdt-dev libattr1-dev libcap-ng-dev`);

const dom0Packages = list(`
  xen-utils-4.17 xen-utils-common xenstore-utils busybox-static kmod iproute2 numactl util-linux procps netbase
  strace`);

const dom0Modules = list(`
  virtio_pci virtio_blk virtio_console ext4 9pnet_virtio 9p xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs`);

const guestPackages = list(`
  busybox-static bash coreutils grep sed libc6 libgomp1 libomp5-14 libstdc++6 numactl xenstore-utils kmod procps
  util-linux strace`);

const guestModules = list(`
  xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-blkfront xen-netfront`);

/** The files of `xen/patches/series`, in its order. */
const seriesOf = (directory: string): ReadonlyArray<string> => {
  const series = join(directory, "series");
  if (!existsSync(series)) return [];
  return readFileSync(series, "utf8")
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "")
    .map((line) => join(directory, line));
};

const changes = (file: string, touches: RegExp): boolean =>
  [...readFileSync(file, "utf8").matchAll(/^\+\+\+ [^/\s]+\/(\S+)/gm)].some(([, path]) =>
    touches.test(path ?? ""),
  );

/**
 * The patches of `xen/patches/series` that change a file matched by `touches`: so that a patch of libxl doesn't rebuild the
 * hypervisor.
 *
 * @since 0.1.0
 */
export const patches = (directory: string, touches: RegExp): ReadonlyArray<string> =>
  seriesOf(directory).filter((file) => changes(file, touches));

/** Those and all before the last of them, where a patch that is for both has its place among others. */
const patchesUpTo = (directory: string, touches: RegExp): ReadonlyArray<string> => {
  const series = seriesOf(directory);
  return series.slice(0, series.findLastIndex((file) => changes(file, touches)) + 1);
};

const sources: Stage = {
  name: "sources",
  script: script("sources"),
  files: ["/etc/apt/sources.list", "/etc/apt/sources.list.d"].filter(existsSync),
  environment: {},
  needs: {},
  usual: "1 s",
};

const buildroot: Stage = {
  name: "buildroot",
  script: script("buildroot"),
  files: [],
  environment: { PACKAGES: buildPackages },
  needs: { SOURCES: sources },
  usual: "1–2 min",
};

/** The source of a package, which the stage's directory has under the package's name. */
const debianSource = (name: string): Stage => ({
  name: `${name}-source`,
  script: script("debian-source"),
  files: [script("private-apt")],
  environment: { PACKAGE: name },
  needs: { SOURCES: sources },
  usual: "10 s",
});

const xenSource = debianSource("xen");

const patchFolder = join(workspace, "xen", "patches");

/** A stage that builds a part of Xen with these patches. */
const xenStage = (
  name: string,
  files: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {},
): Stage => ({
  name,
  script: script(name.replace(/-(debug|stock)$/, "")),
  files: [script("in-buildroot"), ...files],
  environment: { ...environment, PATCHES: files.join("\n") },
  needs: { BUILDROOT: buildroot, XEN_SOURCE: xenSource },
  usual: "2 min",
});

const hypervisorOf = ({ xen }: Flavour): Stage =>
  xenStage(
    xen === "release" ? "hypervisor" : `hypervisor-${xen}`,
    xen === "stock" ? [] : patches(patchFolder, /^xen\//),
    { DEBUG: xen === "debug" ? "y" : "n" },
  );

/** Xen's libraries with the named patches of `xen/patches`. @since 0.1.0 */
export const xenLibsOf = (names: ReadonlyArray<string>): Stage =>
  xenStage(
    "xen-libs",
    names.map((name) => join(patchFolder, name)),
  );

const xenLibs = (): Stage => {
  const ofLibraries = patchesUpTo(patchFolder, /^(tools\/|xen\/include\/public\/)/);
  return xenLibsOf(ofLibraries.map((file) => basename(file)));
};

/** The files of a folder that something is built from, and no result of a build beside them. */
const sourcesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder)
    .filter((file) => /(\.[ch]|^Makefile)$/.test(file))
    .map((file) => join(folder, file));

/** The programs of `xen/tests`, by their names. @since 0.1.0 */
export const xenTestsStage = (): Stage => {
  const tests = join(workspace, "xen", "tests");
  return {
    name: "xen-tests",
    script: script("xen-tests"),
    files: [script("in-buildroot"), ...sourcesIn(tests)],
    environment: { TESTS: tests },
    needs: { BUILDROOT: buildroot, XEN_LIBS: xenLibs() },
    usual: "5 s",
  };
};

const linux: Stage = {
  name: "linux",
  script: script("linux"),
  files: [script("private-apt")],
  environment: {},
  needs: { SOURCES: sources },
  usual: "20 s",
};

const kernelPatchFolder = join(workspace, "kernel", "patches");

/** Whether there is what a flavour is built from; the folder is that of the guests' kernel's patches. @since 0.1.0 */
export const checkFlavour = Effect.fnUntraced(function* (
  { kernel }: Flavour,
  folder: string = kernelPatchFolder,
) {
  const series = join(folder, "series");
  if (kernel === "patched" && !existsSync(series)) {
    return yield* new InvalidOption({
      option: "--kernel",
      message: `--kernel: patched: ${series} is missing, so there are no patches to build it with`,
    });
  }
});

/** The guests' kernel, in the form that `linux` has. @since 0.1.0 */
export const kernelOf = ({ kernel = "stock" }: Flavour): Stage => {
  if (kernel === "stock") return linux;
  const ours = patches(kernelPatchFolder, /./);
  const fragments = kernel === "debug" ? ["guest", "debug"] : ["guest"];
  const configs = fragments.map((name) => join(lab, "kernel", `${name}.config`));
  return {
    name: `linux-${kernel}`,
    script: script("linux-built"),
    files: [script("in-buildroot"), ...configs, ...ours],
    environment: {
      FLAVOUR: kernel === "debug" ? "virtflex-debug" : "virtflex",
      CONFIGS: configs.join("\n"),
      PATCHES: ours.length > 0 ? kernelPatchFolder : "",
    },
    needs: {
      BUILDROOT: buildroot,
      KERNEL_SOURCE: {
        name: "kernel-source",
        script: script("kernel-source"),
        files: [script("private-apt")],
        environment: {},
        needs: { SOURCES: sources },
        usual: "30 s",
      },
    },
    usual: "10–20 min",
  };
};

const qemuSource = debianSource("qemu");

const qemuFolder = join(lab, "qemu");

/** The emulator, where there is no KVM to do its work. @since 0.1.0 */
export const qemuStage = (): Stage => {
  const ours = seriesOf(join(qemuFolder, "patches"));
  const devices = join(qemuFolder, "devices.mak");
  return {
    name: "qemu",
    script: script("qemu"),
    files: [script("in-buildroot"), devices, ...ours],
    environment: { DEVICES: devices, PATCHES: ours.join("\n") },
    needs: {
      BUILDROOT: buildroot,
      QEMU_SOURCE: qemuSource,
    },
    usual: "4–8 min",
  };
};

/** The stages whose results a lab boots from. @since 0.1.0 */
export const stagesOf = (flavour: Flavour) => {
  const hypervisor = hypervisorOf(flavour);
  const agent: Stage = {
    name: "agent",
    script: script("agent"),
    files: [script("in-buildroot"), join(lab, "agent")],
    environment: { AGENT: join(lab, "agent") },
    needs: { BUILDROOT: buildroot },
    usual: "3 s",
  };
  const dom0Root: Stage = {
    name: "dom0-root",
    script: script("dom0-root"),
    files: [],
    environment: { PACKAGES: dom0Packages },
    needs: { SOURCES: sources },
    usual: "1 min",
  };
  const nodePackage = join(workspace, "node_modules", "node");
  const dom0: Stage = {
    name: "dom0",
    script: script("dom0-image"),
    files: [script("modules"), join(lab, "dom0"), join(nodePackage, "package.json")],
    environment: { MODULES: dom0Modules, NODE: join(nodePackage, "bin") },
    needs: { DOM0_ROOT: dom0Root, XEN_LIBS: xenLibs(), AGENT: agent, LINUX: linux },
    usual: "10 s",
  };
  const guestRoot: Stage = {
    name: "guest-root",
    script: script("guest-root"),
    files: [],
    environment: { PACKAGES: guestPackages },
    needs: { SOURCES: sources },
    usual: "20 s",
  };
  const kernel = kernelOf(flavour);
  const guest: Stage = {
    name: "guest",
    script: script("guest-initrd"),
    files: [script("modules"), join(lab, "guest")],
    environment: { MODULES: guestModules },
    needs: { GUEST_ROOT: guestRoot, AGENT: agent, LINUX: kernel },
    usual: "10 s",
  };
  return { hypervisor, dom0, guest, linux, kernel };
};

const meter = join(lab, "numa-meter");

/** The NUMA meter, a plugin of QEMU, and the program that checks it. @since 0.1.0 */
export const meterStage: Stage = {
  name: "numa-meter",
  script: script("numa-meter"),
  files: [script("in-buildroot"), ...sourcesIn(meter), join(meter, "test", "walk.c")],
  environment: { METER: meter },
  needs: {
    BUILDROOT: buildroot,
    QEMU_SOURCE: qemuSource,
  },
  usual: "5 s",
};
