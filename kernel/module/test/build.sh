#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The module compiles without a warning for the newest kernel whose headers are
# installed, and sparse has nothing to say.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)

status=0
ko=$("$here/build.sh") || status=$?
if [ "$status" = 3 ]; then
	echo "skipped: no kernel headers (linux-headers-amd64)"
	exit 77
fi
[ "$status" = 0 ] || exit 1
echo "$ko"

if ! command -v sparse >/dev/null; then
	echo "skipped: no sparse"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here"/*.c "$here"/*.h "$here/Kbuild" "$here/Makefile" "$work"
version=$(modinfo -F vermagic "$ko" | cut -d ' ' -f 1)
make -C "$work" KVER="$version" VIRTFLEX_ABI="$here/../../native/abi/include" W=1 C=2 modules >"$work/log" 2>&1 || {
	cat "$work/log"
	exit 1
}
if grep -E 'warning:|error:' "$work/log"; then
	exit 1
fi
