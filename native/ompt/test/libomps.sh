#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints each libomp.so.5 to test with, separated by semicolons: those that are
# installed, and the newest that apt offers, which can't be installed beside them:
# it is unpacked below ${XDG_CACHE_HOME:-~/.cache}/virtflex.
#
# Usage: libomps.sh [VERSION]...   these of LLVM's versions instead of the newest
set -eu
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtflex

say() { echo "libomps: $*" >&2; }

unpacked() { # package
	version=$(apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p')
	[ -n "$version" ] || { say "apt offers no $1"; return 1; }
	directory=$cache/$1-$(echo "$version" | tr -c 'A-Za-z0-9.\n' _)
	if [ ! -d "$directory" ]; then
		mkdir -p "$cache"
		work=$(mktemp -d "$cache/build.XXXXXX")
		(cd "$work" && apt-get -q download "$1=$version" && dpkg-deb -x ./*.deb tree) >&2 ||
			{ rm -rf "$work"; say "$1 can't be downloaded"; return 1; }
		mv -T "$work/tree" "$directory" || [ -d "$directory" ]
		rm -rf "$work"
	fi
	ls "$directory"/usr/lib/llvm-*/lib/libomp.so.5
}

if [ $# = 0 ]; then
	set -- "$(apt-cache search --names-only '^libomp5-[0-9]+$' | sed 's/ .*//; s/.*-//' | sort -n | tail -n 1)"
fi
{
	ls /usr/lib/llvm-*/lib/libomp.so.5 2>/dev/null || true
	for version; do
		[ -z "$version" ] || [ -e "/usr/lib/llvm-$version/lib/libomp.so.5" ] || unpacked "libomp5-$version" || true
	done
} | paste -sd';'
