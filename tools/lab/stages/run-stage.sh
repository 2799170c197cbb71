#!/bin/bash
# run-stage.sh FINAL SCRIPT LOCK: makes the directory FINAL by SCRIPT, which fills $OUT.
#
# Nobody ever sees a half-made FINAL, and under LOCK nobody makes it twice: whatever FINAL.tmp.* there is was left by a builder that
# died. SIGTERM ends the script and all that it started (as root: by a process namespace of its own), and removes what it made.
# Results of the stage that nobody used for a week go. Removal never leaves the cache's file system: a chroot may have mounts in it.
set -euo pipefail
final=$1 script=$2 lock=$3
contained=(setpriv --pdeathsig KILL)
[ "$(id -u)" != 0 ] || contained=(unshare --fork --pid --mount-proc --kill-child)

OUT=
child=
cleanup() {
	# Ctrl-C reaches us twice: by itself, and as our parent's death.
	trap '' INT HUP TERM
	[ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
	wait
	[ -z "$OUT" ] || rm -rf --one-file-system "$OUT" 2>/dev/null || { sleep 1 && rm -rf --one-file-system "$OUT"; }
}
trap 'exit 143' INT HUP TERM
trap cleanup EXIT
# A trap waits for a command in the foreground, not for one in the background.
run() {
	"$@" &
	child=$!
	wait "$child"
	child=
}

exec 9>"$lock"
run flock 9
[ ! -d "$final" ] || exit 0
rm -rf --one-file-system "$final".tmp.*
find "$(dirname "$final")" -maxdepth 1 -name "$(basename "${final%-*}")-????????????????" -mtime +7 -exec rm -rf --one-file-system {} +
OUT=$(mktemp -d "$final.tmp.XXXXXX")
export OUT
run "${contained[@]}" bash "$script" 9>&-
chmod 755 "$OUT"
mv -T "$OUT" "$final"
OUT=
