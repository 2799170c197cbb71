#!/bin/bash
# OUT/debian.list: where this machine gets Debian 12 from, binary and source, as one apt source list.
# The machine's own mirror if it runs Debian 12, else Debian's. The system's apt configuration is not touched.
set -euo pipefail

list=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
	'Identifier: Packages' 'Origin: Debian' 2>/dev/null | grep ' bookworm' | sort -u || true)
grep -q '^[^ ]* bookworm main$' <<<"$list" || list='http://deb.debian.org/debian bookworm main
http://deb.debian.org/debian bookworm-updates main
http://deb.debian.org/debian-security bookworm-security main'

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || {
	echo "$keyring is missing: install the package debian-archive-keyring" >&2
	exit 1
}
while read -r line; do
	printf 'deb [signed-by=%s] %s\ndeb-src [signed-by=%s] %s\n' "$keyring" "$line" "$keyring" "$line"
done <<<"$list" >"$OUT/debian.list"
cat "$OUT/debian.list"
