#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The demonstration: on an embedded host, or with --host lab on a real Xen.
set -eu
here=$(dirname "$0")

host=embedded
named=false
for argument in "$@"; do
	shift
	if $named; then
		host=$argument
		named=false
		continue
	fi
	case $argument in
	--host) named=true ;;
	--host=*) host=${argument#--host=} ;;
	*) set -- "$@" "$argument" ;;
	esac
done

case $host:$named in
embedded:false) exec "$here/setup.sh" build node packages/cli/build/main.js demo "$@" ;;
lab:false) exec "$here/setup.sh" 'build lab' node tools/lab/dist/demo.js "$@" ;;
*)
	echo "demo: --host is embedded or lab" >&2
	exit 2
	;;
esac
