#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# checkpatch.pl --strict has nothing to say of the module and of kernel/patches. It comes with Debian's
# linux-source package; CHECKPATCH names another.
#
# CAMELCASE: names such as __SetPageOffline are the kernel's, which checkpatch
# knows only inside a kernel tree. MACRO_ARG_REUSE: an iterator does.
set -eu
export LC_ALL=C
here=$(cd "$(dirname "$0")/.." && pwd)

checkpatch=${CHECKPATCH:-}
if [ -z "$checkpatch" ]; then
	tarball=
	for file in /usr/src/linux-source-*.tar.xz; do
		[ ! -e "$file" ] || tarball=$file
	done
	if [ -z "$tarball" ]; then
		echo "skipped: no checkpatch.pl (linux-source-6.1)"
		exit 77
	fi
	tree=$(basename "$tarball" .tar.xz)
	cache=${VIRTFLEX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/virtflex}/checkpatch-$tree
	checkpatch=$cache/checkpatch.pl
	if [ ! -e "$checkpatch" ]; then
		mkdir -p "$cache"
		tar -C "$cache" --strip-components=2 -xf "$tarball" \
			"$tree/scripts/spdxcheck.py" "$tree/scripts/spelling.txt" \
			"$tree/scripts/const_structs.checkpatch" "$tree/scripts/checkpatch.pl"
	fi
fi

check() {
	"$checkpatch" --no-tree --strict --quiet --ignore CAMELCASE,MACRO_ARG_REUSE "$@" 2>&1 |
		grep -v -e 'Use of uninitialized value $root' -e "^find: '/include'" || true
}

# It leaves a file where it is run. From standard input: it takes a patch that git knows for a source file.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
said=$(
	for file in "$here"/*.c "$here"/*.h; do check -f "$file"; done
	for patch in "$here"/../patches/*.patch; do check - <"$patch"; done
)
if [ -n "$said" ]; then
	echo "$said"
	exit 1
fi
