#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian package virtflex-dkms, outside the tree, and prints its path.
#
#   package.sh DIRECTORY      where the package goes
set -eu
out=${1:?usage: package.sh DIRECTORY}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)

for tool in dpkg-buildpackage dh dh_dkms; do
	command -v "$tool" >/dev/null || {
		echo "package.sh: $tool is missing: install dpkg-dev debhelper dh-dkms" >&2
		exit 3
	}
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/kernel/module" "$work/native"
cp -r "$here"/*.c "$here"/*.h "$here/Kbuild" "$here/Makefile" "$here/dkms.conf" "$here/debian" "$work/kernel/module"
cp -r "$here/../../native/abi" "$work/native"
(cd "$work/kernel/module" && dpkg-buildpackage -us -uc -b) >"$work/log" 2>&1 || {
	cat "$work/log" >&2
	exit 1
}
cp "$work"/kernel/virtflex-dkms_*.deb "$out"
ls "$out"/virtflex-dkms_*.deb
