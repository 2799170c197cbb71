#!/bin/bash
# OUT/$PACKAGE: the newest source of Debian 12's package that the archive still has, with Debian's own patches; OUT/VERSION says which.
# The source of a superseded security version is often gone while its index still names it, hence the loop.
set -euo pipefail
. "$(dirname "$0")/private-apt.sh"

private_apt "$OUT/apt"
mkdir "$OUT/source"
cd "$OUT/source"
version=
for candidate in $(apt-cache "${apt_options[@]}" showsrc --only-source "$PACKAGE" | sed -n 's/^Version: //p' | sort -rVu); do
	if apt-get "${apt_options[@]}" source --download-only "$PACKAGE=$candidate"; then
		version=$candidate
		break
	fi
	echo "$PACKAGE $candidate: the archive no longer has this source" >&2
done
[ -n "$version" ] || {
	echo "no version of Debian's $PACKAGE source could be fetched" >&2
	exit 1
}
dpkg-source --no-check -x "$PACKAGE"_*.dsc "$OUT/$PACKAGE"
echo "$version" >"$OUT/VERSION"
echo "taken: $PACKAGE $version"
cd "$OUT"
rm -r apt source ./*.orig.tar.*
