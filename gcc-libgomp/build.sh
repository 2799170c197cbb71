#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds Debian's gcc-12 libgomp with our patches, alone: no compiler is built.
#
# Usage: build.sh [--stock]
#   --stock   without our patches: the baseline that figures are compared with
#
# Prints, as the last line on stdout, the directory that holds libgomp.so.1; all
# else goes to stderr.  The directory is below ${XDG_CACHE_HOME:-~/.cache}/virtflex
# and named by a hash of all that goes into it: where it exists, nothing is built.
# Exit status: 0 built or there, 1 failed, 2 usage.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
native=$here/../native
tarball=/usr/src/gcc-12/gcc-12.2.0-dfsg.tar.xz
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtflex

say() { echo "gcc-libgomp: $*" >&2; }
die() { say "$*"; exit 1; }

flavour=virtflex
case $# in
0) ;;
1) [ "$1" = --stock ] || { say "unknown option '$1' (usage: build.sh [--stock])"; exit 2; }
   flavour=stock ;;
*) say "too many arguments (usage: build.sh [--stock])"; exit 2 ;;
esac

missing=
need() { command -v "$1" >/dev/null || missing="$missing $2"; }
[ -r "$tarball" ] || missing="$missing gcc-12-source"
need gcc-12 gcc-12
# The Fortran interfaces of OpenACC are part of Debian's library.
need gfortran-12 gfortran-12
need make make
need patch patch
need xz xz-utils
[ -z "$missing" ] || die "missing packages; install them with: apt-get install$missing"

if [ $flavour = stock ]; then
	inputs=
	prefix=libgomp-stock
else
	inputs="$here/patches $native/runtime/src $native/runtime/include $native/abi/include"
	prefix=libgomp
fi
key=$({
	dpkg-query -W -f '${Version}\n' gcc-12-source gcc-12
	cat "$0"
	# shellcheck disable=SC2086 # a list
	[ -z "$inputs" ] || find $inputs -type f | LC_ALL=C sort | while read -r file; do
		echo "${file##*/}"
		cat "$file"
	done
} | sha256sum | cut -c1-16)
target=$cache/$prefix-$key

mkdir -p "$cache"
exec 9>"$cache/$prefix-$key.lock"
flock -n 9 || { say "waiting for another build of the same"; flock 9; }
if [ -e "$target/libgomp.so.1" ]; then
	echo "$target"
	exit 0
fi

work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
log=$work/log

# Runs a step, its output to the log; shows the end of that when it fails.
step() {
	say "$1"
	shift
	if ! "$@" >>"$log" 2>&1; then
		tail -n 30 "$log" >&2
		die "failed: $*"
	fi
}

# What libgomp's configure and make read of the source package, and no more.
unpack() {
	tar -xJf "$tarball" -C "$work/source" --strip-components=1 \
		--wildcards --no-wildcards-match-slash \
		--exclude='*/libgomp/testsuite/libgomp.*' \
		gcc-12.2.0/libgomp gcc-12.2.0/include gcc-12.2.0/config \
		'gcc-12.2.0/config.*' 'gcc-12.2.0/*.m4' gcc-12.2.0/config-ml.in \
		gcc-12.2.0/ltmain.sh gcc-12.2.0/libtool-ldflags gcc-12.2.0/install-sh \
		gcc-12.2.0/missing gcc-12.2.0/depcomp gcc-12.2.0/mkinstalldirs \
		gcc-12.2.0/multilib.am gcc-12.2.0/compile gcc-12.2.0/move-if-change \
		gcc-12.2.0/ylwrap gcc-12.2.0/gcc/BASE-VER gcc-12.2.0/gcc/DATESTAMP \
		gcc-12.2.0/gcc/DEV-PHASE
}

apply() {
	sed 's/#.*//; /^[[:space:]]*$/d' "$here/patches/series" | while read -r name; do
		echo "applying $name"
		patch -d "$work/source" -p1 --fuzz=0 --no-backup-if-mismatch <"$here/patches/$name" || exit 1
	done
}

compile_runtime() {
	mkdir -p "$work/runtime"
	for source in "$native"/runtime/src/*.c; do
		gcc-12 -std=c11 -D_GNU_SOURCE -g -O2 -fPIC -fvisibility=hidden -Wall -Wextra -Werror \
			-I"$native/runtime/include" -I"$native/abi/include" \
			-c "$source" -o "$work/runtime/$(basename "$source" .c).o" || return 1
	done
	ar rcs "$work/runtime/libvirtflex-rt.a" "$work"/runtime/*.o
}

# The hidden objects of libvirtflex-rt become part of the library.
configure() {
	if [ $flavour = virtflex ]; then
		export CPPFLAGS="-I$native/runtime/include -I$native/abi/include"
		export LIBS="$work/runtime/libvirtflex-rt.a"
	fi
	cd "$work/build"
	CC=gcc-12 GFORTRAN=$(command -v gfortran-12) CFLAGS='-g -O2' \
		../source/libgomp/configure --disable-multilib --disable-werror \
		--with-gcc-major-version-only --build=x86_64-linux-gnu \
		--host=x86_64-linux-gnu --target=x86_64-linux-gnu
}

mkdir "$work/source" "$work/build" "$work/result"
[ "$(uname -m)" = x86_64 ] || die "this machine is $(uname -m); only x86_64 is supported"
step "unpacking $tarball" unpack
if [ $flavour = virtflex ]; then
	step "applying $(grep -c . "$here/patches/series") patches" apply
	step "compiling libvirtflex-rt" compile_runtime
fi
step "configuring" configure
step "compiling libgomp" make -C "$work/build" -j"$(nproc)"
strip --strip-unneeded -o "$work/result/libgomp.so.1" "$work/build/.libs/libgomp.so.1.0.0"
mv "$log" "$work/result/build.log"

# All or nothing: whoever finds the directory finds it whole.
mv -T "$work/result" "$target"
say "built $target"
echo "$target"
