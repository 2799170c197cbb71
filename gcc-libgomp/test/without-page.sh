#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Without a page the library says and does what Debian's does: its environment,
# affinity and number of threads under many settings, and nothing of its own.
set -eu
follower=$1
patched=$2
unset VIRTFLEX_TOPOLOGY

run() { # [VARIABLE=value]...
	echo 3 | env LC_ALL=C OMP_DISPLAY_ENV=verbose OMP_DISPLAY_AFFINITY=true \
		OMP_AFFINITY_FORMAT='thread %n of %N at level %L: %A' "$@" "$follower" parallel 2>&1 |
		sed 's/^\([0-9]* right\).*/\1/' | sort
}

for setting in X=1 OMP_NUM_THREADS=3 OMP_NUM_THREADS=2,2 OMP_PLACES=threads OMP_PLACES=cores \
	OMP_PLACES=sockets OMP_PLACES=numa_domains 'OMP_PLACES={1},{0}' OMP_PLACES=rubbish \
	OMP_PROC_BIND=spread OMP_PROC_BIND=false GOMP_CPU_AFFINITY=1 OMP_DYNAMIC=true \
	OMP_THREAD_LIMIT=1 VIRTFLEX_TOPOLOGY=/nonexistent VIRTFLEX_TOPOLOGY=/dev/null; do
	run "$setting" >stock.output
	run "$setting" LD_LIBRARY_PATH="$patched" >patched.output
	grep -q right stock.output || { echo "$setting: the program failed"; exit 1; }
	diff stock.output patched.output || { echo "differs with $setting"; exit 1; }
done
