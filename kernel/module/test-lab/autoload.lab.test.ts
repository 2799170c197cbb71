/**
 * The package's udev rule, in Debian's udev: the module is loaded on a guest of Xen when udev goes through the devices at boot.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "@jest/globals";
import { Effect } from "effect";
import { onLab } from "../../../tools/lab/src/Testing.ts";
import { destroy, make, minutes, modulePath } from "./guest.ts";

const run = promisify(execFile);
const here = import.meta.dirname;

/** Debian's udev and what it needs, unpacked, as a tar. */
const udevRoot = Effect.promise(async () => {
  const folder = await mkdtemp(join(tmpdir(), "virtflex-udev-"));
  try {
    const sources = join(folder, "sources");
    await mkdir(sources);
    const script = join(here, "../../../tools/lab/stages/sources.sh");
    await run("bash", [script], { env: { ...process.env, OUT: sources } });
    const root = join(folder, "root.tar");
    await run("mmdebstrap", [
      ...["--variant=extract", "--include=udev,kmod,grep,coreutils"],
      ...["--aptopt=APT::Install-Recommends false", "--aptopt=APT::Sandbox::User root"],
      ...["bookworm", root, join(sources, "debian.list")],
    ]);
    const small = join(folder, "small.tar.gz");
    const excluded = ["./usr/share", "./usr/lib/x86_64-linux-gnu/perl*", "./var"];
    await run("sh", [
      "-c",
      'root=$1 small=$2; shift 2; mkdir "$root.d"; tar -xf "$root" -C "$root.d" "$@"; tar -czf "$small" -C "$root.d" .',
      ...["sh", root, small, ...excluded.map((path) => `--exclude=${path}`)],
    ]);
    return await readFile(small);
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe("the package's udev rule", () => {
  afterAll(destroy("vf-udev"), 300_000);

  it(
    "loads virtflex.ko",
    onLab(function* (lab) {
      const { guest } = yield* make(lab, "vf-udev");
      const rule = yield* Effect.promise(() =>
        readFile(join(here, "../debian/virtflex-dkms.virtflex.udev")),
      );
      yield* guest.check("rmmod virtflex");
      yield* guest.push(yield* udevRoot, "/tmp/root.tar.gz");
      yield* guest.push(rule, "/tmp/virtflex.rules");
      yield* guest.check(
        "set -e; mkdir /tmp/root; cd /tmp/root; tar -xzf ../root.tar.gz; mkdir -p dev proc sys run; " +
          "for dir in dev proc sys run; do mount --bind /$dir $dir; done; " +
          `modules=lib/modules/$(uname -r); mkdir -p $modules/updates/dkms; cp ${modulePath} $modules/updates/dkms; ` +
          "cp ../virtflex.rules lib/udev/rules.d/60-virtflex.rules; chroot . /sbin/depmod -a $(uname -r) 2>/dev/null; " +
          "SYSTEMD_IGNORE_CHROOT=1 chroot . /lib/systemd/systemd-udevd --daemon",
        { timeout: "10 minutes" },
      );
      expect((yield* guest.run("cat /proc/virtflex/status")).status).not.toBe(0);
      yield* guest.check(
        "export SYSTEMD_IGNORE_CHROOT=1; chroot /tmp/root udevadm trigger --action=add --subsystem-match=misc && " +
          "chroot /tmp/root udevadm settle",
      );
      expect(yield* guest.check("cat /proc/virtflex/status")).toMatch(/^request 0 -$/m);
    }),
    minutes(20),
  );
});
