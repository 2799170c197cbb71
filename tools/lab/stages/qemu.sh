#!/bin/bash
# OUT/qemu-system-x86_64: Debian's QEMU with our patches, emulation and the lab's devices alone. It runs with what Debian's package has
# beside its own (firmware, libraries).
set -euo pipefail
. "$(dirname "$0")/in-buildroot.sh"

mkdir "$OUT/tmp"
cp -a "$QEMU_SOURCE/qemu" "$OUT/tmp/qemu"
mkdir "$OUT/tmp/patches" "$OUT/tmp/build"
mapfile -t patches <<<"$PATCHES"
cp "${patches[@]}" "$OUT/tmp/patches/"
basename -a "${patches[@]}" >"$OUT/tmp/patches/series"
(cd "$OUT/tmp/qemu" && QUILT_PC=.pc-virtflex QUILT_PATCHES="$OUT/tmp/patches" quilt --quiltrc - push -a --fuzz=0)
cp "$DEVICES" "$OUT/tmp/qemu/configs/devices/x86_64-softmmu/virtflex.mak"
in_buildroot "$OUT/tmp" bash -euc 'cd build
	../qemu/configure --target-list=x86_64-softmmu --without-default-features --without-default-devices \
		--with-devices-x86_64=virtflex --audio-drv-list= --prefix=/usr \
		--enable-system --enable-tcg --enable-plugins --enable-attr --enable-virtfs --enable-cap-ng --disable-debug-info
	ninja -j "$0" qemu-system-x86_64' "$JOBS"
cp "$OUT/tmp/build/qemu-system-x86_64" "$OUT/"
rm -r "$OUT/tmp"
