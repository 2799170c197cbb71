#!/bin/bash
# OUT/agent, OUT/relay: the lab's own C programs, built in the buildroot.
set -euo pipefail
. "$(dirname "$0")/in-buildroot.sh"

cp "$AGENT"/*.[ch] "$AGENT/Makefile" "$OUT/"
in_buildroot "$OUT" make
strip "$OUT/agent" "$OUT/relay"
rm "$OUT"/*.[ch] "$OUT/Makefile"
