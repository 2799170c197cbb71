#!/bin/bash
# OUT/root.tar: dom0's Debian with Xen's tools, without kernel, hypervisor and device model: the lab brings its own of the first two, and
# PVH guests need none of the third.
set -euo pipefail

grep -v '^deb-src' "$SOURCES/debian.list" >"$OUT/binary.list"
mmdebstrap --variant=minbase --include="$(paste -sd, <<<"$PACKAGES")" \
	--aptopt='APT::Install-Recommends "false"' --aptopt='APT::Sandbox::User "root"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
	--dpkgopt='path-exclude=/usr/lib/xen-4.17/boot/*' --dpkgopt='path-exclude=/usr/share/qemu*' \
	--customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/boot/*' \
	bookworm "$OUT/root.tar" "$OUT/binary.list"
rm "$OUT/binary.list"
