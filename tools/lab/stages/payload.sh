#!/bin/bash
# OUT/payload: Virtflex' own part of a guest's root file system, a cpio to follow that of Debian's. FILES: lines of "SOURCE TARGET".
set -euo pipefail

mkdir "$OUT/root"
while read -r source target; do
	[ -z "$source" ] || install -D -m 755 "$source" "$OUT/root/$target"
done <<<"$FILES"
(cd "$OUT/root" && find . | cpio -o -H newc --quiet) >"$OUT/payload"
rm -r "$OUT/root"
