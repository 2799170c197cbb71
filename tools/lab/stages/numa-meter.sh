#!/bin/bash
# OUT/numa-meter.so: the meter, a plugin of QEMU; OUT/walk: the program that checks it, and OUT/walk.cpio: an initramfs that is just that; OUT/choose: says in a
# guest that this is the one to be counted.
set -euo pipefail
. "$(dirname "$0")/in-buildroot.sh"

mkdir -p "$OUT/source/test"
cp "$METER"/*.[ch] "$METER/Makefile" "$QEMU_SOURCE/qemu/include/qemu/qemu-plugin.h" "$OUT/source/"
cp "$METER/test/walk.c" "$OUT/source/test/"
in_buildroot "$OUT/source" make plugin walk choose QEMU_INCLUDE=.
mv "$OUT"/source/build/{numa-meter.so,walk,choose} "$OUT/"
rm -r "$OUT/source"
mkdir "$OUT/root"
cp "$OUT/walk" "$OUT/root/init"
(cd "$OUT/root" && find . | cpio -o -H newc --quiet) >"$OUT/walk.cpio"
rm -r "$OUT/root"
