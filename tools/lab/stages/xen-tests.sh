#!/bin/bash
# OUT: the programs of xen/tests, for dom0 and for guests, with the headers and libraries that our patches give.
set -euo pipefail
. "$(dirname "$0")/in-buildroot.sh"

mkdir "$OUT/tmp"
cp "$TESTS"/*.[ch] "$TESTS/Makefile" "$OUT/tmp/"
cp -r "$XEN_LIBS" "$OUT/tmp/xen-libs"
in_buildroot "$OUT/tmp" make XEN_LIBS=/work/xen-libs
find "$OUT/tmp" -maxdepth 1 -type f -perm -u+x -exec mv {} "$OUT/" \;
rm -r "$OUT/tmp"
