#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The demonstration: on an embedded host, or with --host lab on a real Xen.
set -eu
here=$(dirname "$0")

if [ "${1-}" = --host ] && [ "${2-}" = lab ]; then
	shift 2
	exec "$here/setup.sh" 'build lab' node tools/lab/dist/demo.js "$@"
fi
exec "$here/setup.sh" build node packages/cli/build/main.js demo "$@"
