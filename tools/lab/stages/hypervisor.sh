#!/bin/bash
# OUT/xen: the hypervisor as the ELF image that QEMU's multiboot loader wants, OUT/xen-syms for its symbols.
# Debian's configuration; DEBUG=y adds assertions, performance counters, and poison in free pages, which is checked when they are allocated.
set -euo pipefail
. "$(dirname "$0")/in-buildroot.sh"

mapfile -t patches <<<"$PATCHES"
[ -n "$PATCHES" ] || patches=()
mkdir "$OUT/tmp"
patched_xen "$OUT/tmp" "${patches[@]}"
tree=$OUT/tmp/xen/xen
cp "$OUT/tmp/xen/debian/xen-kconfig" "$tree/.config"
if [ "$DEBUG" = y ]; then
	sed -i '/CONFIG_DEBUG=/d' "$tree/.config"
	printf 'CONFIG_%s=y\n' EXPERT DEBUG PERF_COUNTERS SCRUB_DEBUG >>"$tree/.config"
fi
in_buildroot "$OUT/tmp/xen" make -C xen olddefconfig
if [ "$DEBUG" = y ]; then
	for option in DEBUG PERF_COUNTERS SCRUB_DEBUG; do
		grep -q "^CONFIG_$option=y\$" "$tree/.config"
	done
fi
in_buildroot "$OUT/tmp/xen" make -j"$JOBS" -C xen
zcat "$tree/xen.gz" >"$OUT/xen"
cp "$tree/xen-syms" "$tree/.config" "$OUT/"
rm -r "$OUT/tmp"
