#!/bin/bash
# OUT/qemu-plugin.h: the plugin interface of Debian 12's QEMU, out of the newest of its sources that the archive still has.
set -euo pipefail
. "$(dirname "$0")/private-apt.sh"

private_apt "$OUT/apt"
mkdir "$OUT/source"
cd "$OUT/source"
for candidate in $(apt-cache "${apt_options[@]}" showsrc --only-source qemu | sed -n 's/^Version: //p' | sort -rVu); do
	if apt-get "${apt_options[@]}" source --download-only --tar-only "qemu=$candidate"; then
		echo "taken: qemu $candidate"
		break
	fi
	echo "qemu $candidate: the archive no longer has this source" >&2
done
tar -xf qemu_*.orig.tar.* --wildcards --strip-components=3 -C "$OUT" '*/include/qemu/qemu-plugin.h'
cd "$OUT"
test -s qemu-plugin.h
rm -r apt source
