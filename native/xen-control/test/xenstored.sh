#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Prints where Debian's C xenstored is: installed, else unpacked from its package
# into the cache.
set -eu
binary=usr/lib/xen-4.17/bin/xenstored
[ ! -x "/$binary" ] || { echo "/$binary"; exit 0; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtflex/xen-utils-4.17
if [ ! -x "$cache/$binary" ]; then
	mkdir -p "${cache%/*}"
	scratch=$(mktemp -d "$cache-XXXXXX")
	trap 'rm -rf "$scratch"' EXIT
	(cd "$scratch" && apt-get -q download xen-utils-4.17 >&2 && dpkg -x xen-utils-4.17_*.deb root)
	# Of two at the same time, the second finds it there.
	mv -T "$scratch/root" "$cache" 2>/dev/null || [ -x "$cache/$binary" ]
fi
echo "$cache/$binary"
