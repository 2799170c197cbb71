#!/bin/bash
# OUT/root: a Debian 12 with what building Xen and the lab's own C programs needs.
set -euo pipefail

grep -v '^deb-src' "$SOURCES/debian.list" >"$OUT/binary.list"
mmdebstrap --variant=minbase --include="$(paste -sd, <<<"$PACKAGES")" \
	--aptopt='APT::Install-Recommends "false"' --aptopt='APT::Sandbox::User "root"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	bookworm "$OUT/root" "$OUT/binary.list"
rm "$OUT/binary.list"
mkdir "$OUT/root/work" "$OUT/root/ccache"
