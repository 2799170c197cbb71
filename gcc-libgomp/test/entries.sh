#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The programs of the matrix call each function that the library exports to form
# a team: none is left out.
set -eu
library=$1
shift
ways() { nm -D "$@" | grep -oE ' GOMP_(parallel|teams)[a-z_0-9]*' | sort -u; }
ways --defined-only "$library" >exported
ways --undefined-only "$@" >called
[ "$(wc -l <exported)" -gt 15 ] || { echo "$library exports too little"; exit 1; }
diff exported called
