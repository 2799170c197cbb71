#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# GCC's own libgomp testsuite, its C part, against the unpatched library, the
# patched one, and the patched one with a page that changes nothing.
#
# Usage: testsuite.sh [GLOB]
#   GLOB   of test names, as in 'affinity-*.c' (default: all)
#
# Prints the tests that pass on the unpatched library and not on the patched one,
# and a summary, on stdout; progress on stderr.
# Exit status: 0 there are none, 1 there are some, or the tests couldn't be run, 2 usage.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tarball=/usr/src/gcc-12/gcc-12.2.0-dfsg.tar.xz
[ $# -le 1 ] || { echo "usage: testsuite.sh [GLOB]" >&2; exit 2; }
glob=${1:-*.c}

say() { echo "libgomp testsuite: $*" >&2; }
command -v runtest >/dev/null || { say "missing package; install it with: apt-get install dejagnu"; exit 1; }

stock=$("$here/build.sh" --stock | tail -n 1)
patched=$("$here/build.sh" | tail -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

say "unpacking"
mkdir "$work/source" "$work/build"
tar -xJf "$tarball" -C "$work/source" --strip-components=1 \
	--wildcards --exclude='*/libgomp.oacc-*' --exclude='*/libgomp.fortran' \
	gcc-12.2.0/libgomp gcc-12.2.0/include gcc-12.2.0/config 'gcc-12.2.0/config.*' \
	'gcc-12.2.0/*.m4' gcc-12.2.0/config-ml.in gcc-12.2.0/ltmain.sh \
	gcc-12.2.0/libtool-ldflags gcc-12.2.0/install-sh gcc-12.2.0/missing gcc-12.2.0/depcomp \
	gcc-12.2.0/mkinstalldirs gcc-12.2.0/multilib.am gcc-12.2.0/compile \
	gcc-12.2.0/move-if-change gcc-12.2.0/gcc/BASE-VER gcc-12.2.0/gcc/DATESTAMP \
	gcc-12.2.0/gcc/DEV-PHASE gcc-12.2.0/gcc/testsuite/lib
# It looks for the library where a build of all of GCC has it; else it would take
# the system's.
sed -i "s|set blddir \[lookfor_file.*|set blddir $work/build|" \
	"$work/source/libgomp/testsuite/lib/libgomp.exp"
say "configuring"
(cd "$work/build" && CC=gcc-12 ../source/libgomp/configure --disable-multilib \
	--with-gcc-major-version-only --build=x86_64-linux-gnu --host=x86_64-linux-gnu \
	--target=x86_64-linux-gnu && make -j"$(nproc)") >"$work/log" 2>&1 ||
	{ tail "$work/log" >&2; say "the machinery of the tests can't be built"; exit 1; }

# A page of all this machine's CPUs, in one node.
page=$work/page
python3 - "$page" "$(getconf _NPROCESSORS_CONF)" <<'PAGE'
import struct, sys
page, cpus = bytearray(8192), int(sys.argv[2])
struct.pack_into("<IIII", page, 0, 0x50544656, 1, 0, 8192)
struct.pack_into("<Q", page, 64, 1)
struct.pack_into("<II", page, 128, 1, cpus)
struct.pack_into("<IIQ", page, 192, 3, 0, 1048576)
for cpu in range(1024):
    struct.pack_into("<H", page, 1216 + 2 * cpu, 0 if cpu < cpus else 0xFFFF)
open(sys.argv[1], "wb").write(page)
PAGE

run() { # name, library, [VARIABLE=value]
	say "running with the $1 library"
	cp "$2/libgomp.so.1" "$work/build/.libs/libgomp.so.1.0.0"
	shift 2
	(cd "$work/build/testsuite" && env "$@" runtest --tool libgomp \
		--srcdir "$work/source/libgomp/testsuite" GCC_UNDER_TEST=gcc-12 \
		--target_board unix "c.exp=$glob") >"$work/log" 2>&1 || true
	grep -q "^LD_LIBRARY_PATH=.*$work/build/.libs" "$work/build/testsuite/libgomp.log" ||
		{ say "the tests ran with another library"; exit 1; }
	sed -n 's/^PASS: //p' "$work/build/testsuite/libgomp.sum" | sort >"$work/passed"
	[ -s "$work/passed" ] || { tail -n 20 "$work/log" >&2; say "no test passed"; exit 1; }
}

run unpatched "$stock" LC_ALL=C
mv "$work/passed" "$work/stock.passed"
worse=0
compare() { # name
	comm -23 "$work/stock.passed" "$work/passed" >"$work/worse"
	sed "s/^/not with $1: /" "$work/worse"
	echo "$1: $(wc -l <"$work/passed") pass, $(wc -l <"$work/stock.passed") of the unpatched library"
	[ ! -s "$work/worse" ] || worse=1
}
run patched "$patched" LC_ALL=C
compare patched
run patched "$patched" LC_ALL=C "VIRTFLEX_TOPOLOGY=$page"
compare patched-with-page
exit $worse
