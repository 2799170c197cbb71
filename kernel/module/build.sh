#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds virtflex.ko for one kernel, outside the tree, and prints its path.
# Same sources and same headers: same path, and nothing is built anew.
#
#   build.sh [KERNEL-VERSION]     default: the newest whose headers are installed
#
# Environment: VIRTFLEX_CACHE (default ~/.cache/virtflex), KDIR (headers).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
abi=$here/../../native/abi/include
cache=${VIRTFLEX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/virtflex}

newest() {
	for build in /lib/modules/*/build; do
		if [ -e "$build/Makefile" ]; then
			basename "$(dirname "$build")"
		fi
	done | sort -V | tail -n 1
}

version=${1:-$(newest)}
kdir=${KDIR:-/lib/modules/$version/build}
if [ -z "$version" ] || [ ! -e "$kdir/Makefile" ]; then
	echo "build.sh: no kernel headers${version:+ for $version}: install linux-headers-${version:-amd64}" >&2
	exit 3
fi

hash=$(
	{
		echo "$version${KDIR:+ $KDIR}"
		sha256sum "$kdir/Module.symvers" | cut -d ' ' -f 1
		cd "$here" && sha256sum ./*.c ./*.h Kbuild Makefile
		cd "$abi" && sha256sum virtflex/topology_page.h virtflex/reset_ioctl.h
	} | sha256sum | cut -c 1-16
)
out=$cache/kmod-$hash

if [ ! -e "$out/virtflex.ko" ]; then
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/kmod-build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	cp "$here"/*.c "$here"/*.h "$here/Kbuild" "$here/Makefile" "$work"
	cp -r "$abi" "$work/include"
	make -C "$work" KVER="$version" KDIR="$kdir" W=1 modules >"$work/build.log" 2>&1 || {
		cat "$work/build.log" >&2
		exit 1
	}
	if grep -i 'warning:' "$work/build.log" >&2; then
		echo "build.sh: the module compiles with warnings" >&2
		exit 1
	fi
	mkdir -p "$out"
	mv "$work/virtflex.ko" "$out/virtflex.ko.$$"
	mv "$out/virtflex.ko.$$" "$out/virtflex.ko"
fi

echo "$out/virtflex.ko"
