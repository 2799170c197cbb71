#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# page.sh FILE: publishes a page of all this machine's CPUs, in one node, that never
# changes; programs register in the directory FILE.d.
set -eu
page=$1

put() { # offset, bytes, value
	value=$3
	for _ in $(seq "$2"); do
		printf "\\$(printf %03o $((value & 255)))"
		value=$((value >> 8))
	done | dd of="$page" bs=1 seek="$1" conv=notrunc status=none
}
cpus=$(getconf _NPROCESSORS_CONF)
head -c 8192 /dev/zero >"$page"
mkdir "$page.d"
put 0 4 $((0x50544656))
put 4 4 1
put 12 4 8192
put 64 8 1
put 128 4 1
put 132 4 "$cpus"
put 192 4 3
put 200 8 1048576
head -c $((2 * (1024 - cpus))) /dev/zero | tr '\0' '\377' |
	dd of="$page" bs=1 seek=$((1216 + 2 * cpus)) conv=notrunc status=none
