#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs and builds what a command needs, then runs it: what is there already
# is left alone, and each thing that is done is said on stderr, so that stdout
# stays the command's own.
#
#   setup.sh "GROUP ..." COMMAND [ARG ...]     groups of packages.txt
set -eu
cd "$(dirname "$0")/../.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
	say "$*"
	exit 1
}

install_packages() {
	command -v dpkg-query >/dev/null || die "this is not Debian: install what tools/setup/packages.txt names, by hand"
	missing=
	for package in $(awk -v groups=" $1 " '$1 !~ /^#/ && index(groups, " " $1 " ") && !seen[$2]++ { print $2 }' tools/setup/packages.txt); do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	root=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "neither root nor sudo: ask for these packages:$missing"
		root=sudo
	fi
	say "installing by apt:$missing"
	$root env DEBIAN_FRONTEND=noninteractive apt-get -q update >&2
	# shellcheck disable=SC2086 # a list of words
	$root env DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install $missing >&2
}

install_modules() {
	stamp=node_modules/.virtflex-installed
	cmp -s package-lock.json "$stamp" && return 0
	say "installing npm packages (npm ci)"
	# Engines are checked against the Node that runs npm; ours comes with the packages.
	npm ci --loglevel=error >&2
	cp package-lock.json "$stamp"
}

command -v npm >/dev/null || die "npm is missing: install Node.js (any version from 20 on; the right one is installed from npm)"
install_packages "$1"
shift
install_modules
PATH=$PWD/node_modules/.bin:$PATH
export PATH NX_DAEMON=false
say "building (nx)"
nx run-many -t build --output-style=static >&2
say "libgomp: patched, from Debian's source (cached)"
gcc-libgomp/build.sh >/dev/null
exec "$@"
