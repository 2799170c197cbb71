#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# GCC's own libgomp testsuite against the patched library, without a page and with
# one that changes nothing; what fails there runs again, on the unpatched library
# and on the patched one.
#
# Usage: testsuite.sh [PART [GLOB]]
#   PART   c (default), c++, fortran, or all: one after the other
#   GLOB   of file names, as in 'affinity-*' (default: all of that part)
#
# Prints the tests that pass on the unpatched library and not on the patched one,
# and a summary, on stdout; progress on stderr.
# Exit status: 0 there are none, 1 there are some, or the tests couldn't be run, 2 usage.
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
tarball=/usr/src/gcc-12/gcc-12.2.0-dfsg.tar.xz
usage() { echo "usage: testsuite.sh [all | c|c++|fortran [GLOB]]" >&2; exit 2; }
[ $# -le 2 ] || usage
part=${1:-c}
glob=${2:-*}
case $part in
c) folders='libgomp.c libgomp.c-c++-common' ;;
c++) folders='libgomp.c++ libgomp.c-c++-common' ;;
fortran) folders=libgomp.fortran ;;
all)
	[ $# = 1 ] || usage
	worse=0
	for part in c c++ fortran; do
		"$0" "$part" || worse=1
	done
	exit $worse
	;;
*) usage ;;
esac

say() { echo "libgomp testsuite: $*" >&2; }
command -v runtest >/dev/null || { say "missing package; install it with: apt-get install dejagnu"; exit 1; }

patched=$("$here/build.sh" | tail -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
suite=$work/source/libgomp/testsuite

say "unpacking"
mkdir "$work/source" "$work/build" "$work/bin" "$work/compiled"
tar -xJf "$tarball" -C "$work/source" --strip-components=1 \
	--wildcards --exclude='*/libgomp.oacc-*' \
	gcc-12.2.0/libgomp gcc-12.2.0/include gcc-12.2.0/config 'gcc-12.2.0/config.*' \
	'gcc-12.2.0/*.m4' gcc-12.2.0/config-ml.in gcc-12.2.0/ltmain.sh \
	gcc-12.2.0/libtool-ldflags gcc-12.2.0/install-sh gcc-12.2.0/missing gcc-12.2.0/depcomp \
	gcc-12.2.0/mkinstalldirs gcc-12.2.0/multilib.am gcc-12.2.0/compile \
	gcc-12.2.0/move-if-change gcc-12.2.0/gcc/BASE-VER gcc-12.2.0/gcc/DATESTAMP \
	gcc-12.2.0/gcc/DEV-PHASE gcc-12.2.0/gcc/testsuite/lib
# It looks for the library where a build of all of GCC has it; else it would take
# the system's.
sed -i "s|set blddir \[lookfor_file.*|set blddir $work/build|" "$suite/lib/libgomp.exp"
say "configuring"
(
	cd "$work/build"
	CC=gcc-12 GFORTRAN=$(command -v gfortran-12) ../source/libgomp/configure --disable-multilib \
		--with-gcc-major-version-only --build=x86_64-linux-gnu --host=x86_64-linux-gnu \
		--target=x86_64-linux-gnu
	mkdir -p .libs
	ln -s libgomp.so.1 .libs/libgomp.so
	make -C testsuite all site.exp
	# Else configure's compilers win over those of the command line.
	sed -i /_UNDER_TEST/d testsuite/site.exp
	[ "$part" != fortran ] || make omp_lib.mod openacc.mod
	# Looked for beside it, as in a build of all of GCC.
	mkdir -p ../libgfortran/.libs
	ln -s "$(gfortran-12 -print-file-name=libgfortran.so)" ../libgfortran/.libs/
) >"$work/log" 2>&1 || { tail "$work/log" >&2; say "the machinery of the tests can't be built"; exit 1; }

# A program is the same for each library: each is compiled once.  What leaves
# other files behind isn't kept.
for compiler in gcc-12 g++-12 gfortran-12; do
	cat >"$work/bin/$compiler" <<WRAPPER
#!/bin/sh
output= previous=
for argument; do
	[ "\$previous" != -o ] || output=\$argument
	previous=\$argument
done
case "\$output \$*" in
" "* | *-fdump-* | *-save-temps*) exec $compiler "\$@" ;;
*$suite/libgomp.*) ;;
*) exec $compiler "\$@" ;;
esac
kept=$work/compiled/\$(echo $compiler "\$@" | sha256sum | cut -c1-32)
if [ ! -e "\$kept.status" ]; then
	$compiler "\$@" >"\$kept.said" 2>&1
	status=\$?
	[ ! -e "\$output" ] || cp "\$output" "\$kept.output"
	echo \$status >"\$kept.status"
elif [ -e "\$kept.output" ]; then
	cp "\$kept.output" "\$output"
fi
cat "\$kept.said"
exit \$(cat "\$kept.status")
WRAPPER
	chmod +x "$work/bin/$compiler"
done

page=$work/page
"$here/../native/runtime/test/page.sh" "$page"

# The tests named in the file, in as many runs at once as there are CPUs; appends to
# LABEL.sum.  Threads don't spin for long: those of the other runs need the CPUs.
run() { # label, library, file of names, VARIABLE=value...
	label=$1 library=$2 names=$3
	shift 3
	say "$(wc -l <"$names") files: $label"
	cp "$library/libgomp.so.1" "$work/build/.libs/libgomp.so.1"
	shards=$(nproc)
	for shard in $(seq "$shards"); do
		cp -r "$work/build/testsuite" "$work/shard$shard"
		mine=$(awk "NR % $shards == $shard % $shards" "$names" | tr '\n' ' ')
		[ -z "$mine" ] || (cd "$work/shard$shard" && env GOMP_SPINCOUNT=1000 "$@" runtest --tool libgomp \
			--srcdir "$suite" GCC_UNDER_TEST="$work/bin/gcc-12" \
			GXX_UNDER_TEST="$work/bin/g++-12" GFORTRAN_UNDER_TEST="$work/bin/gfortran-12" \
			--target_board unix "$part.exp=$mine") >"$work/log$shard" 2>&1 &
	done
	wait
	cat "$work"/shard*/libgomp.sum >>"$work/$label.sum"
	grep -hq "^LD_LIBRARY_PATH=.*$work/build/.libs" "$work"/shard*/libgomp.log ||
		{ tail -n 60 "$work"/log?; say "the tests ran with another library"; exit 1; } >&2
	rm -rf "$work"/shard*
}

results() { sed -n "s/^$1: //p" "$work/$2.sum" | sort -u; }
failures() { results '\(FAIL\|UNRESOLVED\|ERROR\)' "$1"; }

(cd "$suite" && find $folders -type f -name "$glob" -printf '%f\n') |
	grep -E '\.(c|C|f|f90|F90)$' | sort -u >"$work/all"
[ -s "$work/all" ] || { say "no such test"; exit 1; }
touch -d '1 minute ago' "$page.d"
before=$(stat -c %Y "$page.d")
run patched "$patched" "$work/all" VIRTFLEX_TOPOLOGY=/nonexistent
run patched-with-page "$patched" "$work/all" "VIRTFLEX_TOPOLOGY=$page"
[ "$(stat -c %Y "$page.d")" -gt "$before" ] || { say "no program registered with the page"; exit 1; }

worse=0
for name in patched patched-with-page; do
	passed=$(results PASS $name | wc -l)
	[ "$passed" -gt 0 ] || { say "no test passed"; exit 1; }
	failures $name >"$work/failed"
	echo "$part, $name: $passed passed, $(wc -l <"$work/failed") did not"
	[ -s "$work/failed" ] || continue
	sed 's/^/  fails: /' "$work/failed"
	sed 's|:.*||; s| .*||; s|.*/||' "$work/failed" | sort -u >"$work/again"
	stock=$("$here/build.sh" --stock | tail -n 1)
	variable=VIRTFLEX_TOPOLOGY=/nonexistent
	run "stock-for-$name" "$stock" "$work/again" $variable
	[ $name = patched ] || variable=VIRTFLEX_TOPOLOGY=$page
	run "$name-again" "$patched" "$work/again" "$variable"
	results PASS "stock-for-$name" >"$work/good"
	failures "$name-again" >"$work/bad"
	comm -12 "$work/failed" "$work/good" | sed "s/^/  only sometimes: /"
	comm -12 "$work/bad" "$work/good" >"$work/worse"
	sed "s/^/  passes unpatched, not $name: /" "$work/worse"
	echo "  of these $(failures "stock-for-$name" | wc -l) fail on the unpatched library, too"
	[ ! -s "$work/worse" ] || worse=1
done
exit $worse
