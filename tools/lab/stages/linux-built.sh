#!/bin/bash
# A guest's kernel, built with CONFIGS over allnoconfig and the series in the folder PATCHES, if that is not empty: what the stage linux
# gives, and OUT/build, which modules are built against.
set -euo pipefail
. "$(dirname "$0")/in-buildroot.sh"

mapfile -t configs <<<"$CONFIGS"
tree=$OUT/tmp/linux
mkdir -p "$tree"
tar -xf "$KERNEL_SOURCE/linux.tar.xz" --strip-components=1 -C "$tree"
[ -z "$PATCHES" ] || (cd "$tree" && QUILT_PC=.pc-virtflex QUILT_PATCHES=$PATCHES quilt --quiltrc - push -a --fuzz=0)

# A PVH guest's kernel begins in C, before there is the memory that KASAN's checks look at.
echo 'KASAN_SANITIZE_enlighten.o := n' >>"$tree/arch/x86/platform/pvh/Makefile"
echo 'KASAN_SANITIZE_enlighten_pvh.o := n' >>"$tree/arch/x86/xen/Makefile"
echo 'KASAN_SANITIZE_string.o := n' >>"$tree/lib/Makefile"

cat "${configs[@]}" - >"$tree/lab.config" <<<"CONFIG_LOCALVERSION=\"-$FLAVOUR\""
kernel_make() {
	in_buildroot "$tree" make -j"$JOBS" KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=lab "$@"
}
kernel_make KCONFIG_ALLCONFIG=lab.config allnoconfig
lacks=$(grep -E '^(# )?CONFIG_' "$tree/lab.config" | grep -vxFf "$tree/.config" || true)
[ -z "$lacks" ] || {
	printf 'the configuration lacks what it was asked for:\n%s\n' "$lacks" >&2
	exit 1
}
kernel_make bzImage modules
kernel_make INSTALL_MOD_PATH=/work/lab-root modules_install

release=$(cat "$tree/include/config/kernel.release")
echo "$release" >"$OUT/RELEASE"
cp "$KERNEL_SOURCE/VERSION" "$OUT/"
cp "$tree/arch/x86/boot/bzImage" "$OUT/vmlinuz"
cp "$tree/arch/x86/boot/compressed/vmlinux.bin" "$OUT/vmlinux"
cp "$tree/System.map" "$OUT/"
rm -f "$tree/lab-root/lib/modules/$release"/{build,source}
mv "$tree/lab-root/lib" "$OUT/lib"

# As Debian's linux-headers package has it (scripts/package/builddeb).
mkdir "$OUT/build"
(
	cd "$tree"
	find . arch/x86 -maxdepth 1 -name 'Makefile*'
	find arch/x86 -maxdepth 1 -name Kbuild
	find scripts include arch/x86/include \( -type f -o -type l \) -not -name '*.o' -not -name '.*.cmd'
	find tools/objtool/objtool Module.symvers .config -type f
) | tar -cf - -C "$tree" -T - | tar -xf - -C "$OUT/build"
rm -r "$OUT/tmp"
