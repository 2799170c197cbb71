#!/bin/bash
# OUT/xen: the hypervisor as the ELF image that QEMU's multiboot loader wants, OUT/xen-syms for its symbols.
# Debian's configuration; DEBUG=y adds assertions and a debug console.
set -euo pipefail
. "$(dirname "$0")/in-buildroot.sh"

mapfile -t patches <<<"$PATCHES"
[ -n "$PATCHES" ] || patches=()
mkdir "$OUT/tmp"
patched_xen "$OUT/tmp" "${patches[@]}"
tree=$OUT/tmp/xen/xen
cp "$OUT/tmp/xen/debian/xen-kconfig" "$tree/.config"
[ "$DEBUG" = n ] || sed -i '/CONFIG_DEBUG[ =]/d; /CONFIG_EXPERT/d; $a CONFIG_EXPERT=y\nCONFIG_DEBUG=y' "$tree/.config"
in_buildroot "$OUT/tmp/xen" make -C xen olddefconfig
grep -q "^CONFIG_DEBUG=$DEBUG\$" "$tree/.config" || [ "$DEBUG" = n ]
in_buildroot "$OUT/tmp/xen" make -j"$JOBS" -C xen
zcat "$tree/xen.gz" >"$OUT/xen"
cp "$tree/xen-syms" "$tree/.config" "$OUT/"
rm -r "$OUT/tmp"
