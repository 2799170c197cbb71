#!/bin/bash
# OUT/root.tar: a guest's user space, unpacked from Debian packages without installing them: it has no package manager to configure them with.
set -euo pipefail

grep -v '^deb-src' "$SOURCES/debian.list" >"$OUT/binary.list"
mmdebstrap --variant=extract --include="$(paste -sd, <<<"$PACKAGES")" \
	--aptopt='APT::Install-Recommends "false"' --aptopt='APT::Sandbox::User "root"' \
	bookworm "$OUT/root.tar" "$OUT/binary.list"
rm "$OUT/binary.list"
