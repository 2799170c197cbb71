#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# LLVM's own tests of libomp (openmp/runtime/test of Debian's source package of LLVM
# 14) with this tool and a page that changes nothing; what fails runs again
# without the tool.  Not among them are the tests of OMPT, which are tools themselves.
#
# Usage: testsuite.sh [FOLDER...]   parallel, tasking, ...; default: all
# For each libomp that test/libomps.sh names; needs clang-14 and llvm-14-tools.
#
# Prints the tests that pass without the tool alone, and a summary, on stdout;
# progress on stderr.
# Exit status: 0 there are none, 1 there are some, or the tests couldn't be run.
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
lit=/usr/lib/llvm-14/build/utils/lit/lit.py
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtflex
tool=$here/build/libvirtflex-ompt.so

say() { echo "libomp tests: $*" >&2; }
die() { say "$*"; exit 1; }
command -v clang-14 >/dev/null && [ -e "$lit" ] || die "missing package; install it with: apt-get install clang-14 llvm-14-tools"
[ -e "$tool" ] || die "$tool is not there: npm run build"

version=$(dpkg-query -W -f '${Version}' clang-14)
tests=$cache/libomp-tests-$(echo "$version" | tr -c 'A-Za-z0-9.\n' _)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

fetch() {
	mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial"
	OUT="$work/apt" bash "$here/../../tools/lab/stages/sources.sh" >/dev/null
	set -- -q -o "Dir::State::lists=$work/apt/lists" -o "Dir::Cache=$work/apt" \
		-o "Dir::Etc::sourcelist=$work/apt/debian.list" -o Dir::Etc::sourceparts=/dev/null
	cd "$work/apt"
	apt-get "$@" update
	apt-get "$@" source --download-only --tar-only "llvm-toolchain-14=$version"
	mkdir tree
	tar -xJf llvm-toolchain-14_*.orig.tar.xz -C tree --strip-components=3 --wildcards '*/openmp/runtime/test/*'
	mv -T tree/test "$tests" || [ -d "$tests" ]
}
if [ ! -d "$tests" ]; then
	say "fetching the source package (130 MB)"
	mkdir -p "$cache"
	(fetch) >"$work/log" 2>&1 || { tail "$work/log" >&2; die "the source package can't be had"; }
fi
rm -rf "$work/apt"

page=$work/page
"$here/../runtime/test/page.sh" "$page"

# lit's own settings, as the runtime's build would make them.
configure() { # directory, libomp, VARIABLE=value...
	directory=$1 libomp=$2
	shift 2
	mkdir -p "$directory"
	# clang links with -lomp, which another version's package doesn't have.
	mkdir -p "$directory/lib"
	ln -sf "$libomp" "$directory/lib/libomp.so"
	ln -sf "$libomp" "$directory/lib/libomp.so.5"
	cat >"$directory/lit.site.cfg" <<-CONFIG
		config.test_c_compiler = "clang-14"
		config.test_cxx_compiler = "clang++-14"
		config.test_compiler_features = ["clang-14", "clang"]
		config.test_filecheck = "/usr/lib/llvm-14/bin/FileCheck"
		config.test_not = "/usr/lib/llvm-14/bin/not"
		config.test_openmp_flags = "-fopenmp=libomp"
		config.test_extra_flags = "-Wno-everything"
		config.libomp_obj_root = "$directory"
		config.library_dir = "$directory/lib"
		config.omp_header_directory = "$(dirname "$(clang-14 -print-file-name=include/omp.h)")"
		config.operating_system = "Linux"
		config.hwloc_library_dir = ""
		config.using_hwloc = False
		config.has_ompt = True
		config.has_libm = True
		config.has_libatomic = False
		config.is_standalone_build = True
		for setting in """$*""".split():
		    config.environment.update([setting.split("=", 1)])
		lit_config.load_config(config, "$tests/lit.cfg")
		config.substitutions = [(name, text.replace("%t", "timeout 120 %t") if name == "%libomp-run" else text)
		                        for name, text in config.substitutions]
		config.excludes = ["ompt"]
	CONFIG
}

# Appends "RESULT: TEST" lines to LABEL.
run() { # label, directory, test...
	label=$1 directory=$2
	shift 2
	for test; do set -- "$@" "$directory/$test"; shift; done
	python3 "$lit" -v --show-all -j "$(nproc)" "$@" >"$work/log" 2>&1 || true
	sed -n 's/^\([A-Z]*\): libomp :: \([^ ]*\) .*/\1: \2/p' "$work/log" >"$label"
	[ -s "$label" ] || { tail "$work/log" >&2; die "no test ran"; }
}
named() { sed -n "s/^\($1\): //p" "$2" | sort -u; }

worse=0
[ $# -gt 0 ] || set -- .
IFS=';'
for libomp in $("$here/test/libomps.sh"); do
	unset IFS
	name=$(echo "$libomp" | sed 's/.*llvm-\([0-9]*\).*/libomp \1/')
	say "$name"
	configure "$work/with" "$libomp" "OMP_TOOL_LIBRARIES=$tool" "VIRTFLEX_TOPOLOGY=$page"
	configure "$work/without" "$libomp" OMP_TOOL=disabled
	run "$work/results" "$work/with" "$@"
	named 'FAIL\|TIMEOUT\|UNRESOLVED' "$work/results" >"$work/failed"
	echo "$name: $(named PASS "$work/results" | wc -l) passed, $(wc -l <"$work/failed") did not"
	[ -s "$work/failed" ] || continue
	sed 's/^/  fails: /' "$work/failed"
	# shellcheck disable=SC2046 # names without blanks
	run "$work/stock" "$work/without" $(cat "$work/failed")
	# shellcheck disable=SC2046
	run "$work/again" "$work/with" $(cat "$work/failed")
	named PASS "$work/stock" >"$work/good"
	named 'FAIL\|TIMEOUT\|UNRESOLVED' "$work/again" >"$work/bad"
	comm -12 "$work/bad" "$work/good" >"$work/worse"
	echo "  of these $(named 'FAIL\|TIMEOUT\|UNRESOLVED' "$work/stock" | wc -l) fail without the tool, too"
	sed 's/^/  passes without the tool alone: /' "$work/worse"
	[ ! -s "$work/worse" ] || worse=1
done
exit $worse
