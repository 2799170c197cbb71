#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The library exports what Debian's does, name, kind and version, and no more.
set -eu
ours=$1
debian=$(gcc-12 -print-file-name=libgomp.so.1)
[ -e "$debian" ] || { echo "Debian's libgomp.so.1 isn't installed"; exit 1; }
exported() { nm -D --defined-only "$1" | awk '{ print $2, $3 }' | sort; }
[ "$(exported "$debian" | wc -l)" -gt 400 ] || { echo "$debian exports too little"; exit 1; }
exported "$debian" >debian.symbols
exported "$ours" >our.symbols
diff debian.symbols our.symbols
