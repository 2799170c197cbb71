#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# binding.sh ADDON XENSTORED WITHOUT_XEN: runs binding.cjs under the address sanitizer. Node itself leaves a lot to the
# end of the process: of what leaks, that counts which the addon has a part in. Of a call in a thread that is ended
# Node keeps the promise, and has no way to give it back.
set -eu
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS="log_path=$log/leaks:exitcode=0" \
	node --expose-gc "$(dirname "$0")/binding.cjs" "$@"
# Where Node leaves nothing there is no file, and then this has looked at nothing.
cat "$log"/leaks* | awk -v RS= '
	/leak of/ { leaks++ }
	/leak of.*native\/xen-control\/src/ && !/ in napi_create_promise / { print; ours++ }
	END { print leaks " leaks, " ours + 0 " of them with the addon"; exit !leaks || ours }'
