#!/bin/bash
# OUT/qemu: the newest source of Debian 12's QEMU that the archive still has, with Debian's own patches; OUT/VERSION says which.
set -euo pipefail
. "$(dirname "$0")/private-apt.sh"

private_apt "$OUT/apt"
mkdir "$OUT/source"
cd "$OUT/source"
version=
for candidate in $(apt-cache "${apt_options[@]}" showsrc --only-source qemu | sed -n 's/^Version: //p' | sort -rVu); do
	if apt-get "${apt_options[@]}" source --download-only "qemu=$candidate"; then
		version=$candidate
		break
	fi
	echo "qemu $candidate: the archive no longer has this source" >&2
done
[ -n "$version" ] || {
	echo "no version of Debian's qemu source could be fetched" >&2
	exit 1
}
dpkg-source --no-check -x qemu_*.dsc "$OUT/qemu"
echo "$version" >"$OUT/VERSION"
echo "taken: qemu $version"
cd "$OUT"
rm -r apt source ./*.orig.tar.*
