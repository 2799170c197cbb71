#!/bin/bash
# run-stage.sh FINAL SCRIPT LOCK: makes the directory FINAL by SCRIPT, which fills $OUT.
#
# Nobody ever sees a half-made FINAL, and under LOCK nobody makes it twice: whatever FINAL.tmp.* there is was left by a builder that
# died. SIGTERM ends the script and all that it started (as root: by a process namespace of its own), and removes what it made.
# Results of the stage that nobody used for a week go. Removal never leaves the cache's file system: a chroot may have mounts in it.
set -euo pipefail
final=$1 script=$2 lock=$3
# In a session of its own, so that Ctrl-C is for us alone.
contained=(setsid setpriv --pdeathsig KILL)
[ "$(id -u)" != 0 ] || contained=(setsid unshare --fork --pid --mount-proc --kill-child)

OUT=
cleanup() {
	local running
	# Not `wait`: bash has it return at once after a signal that came before signals were ignored.
	while running=$(jobs -pr) && [ -n "$running" ]; do
		kill -KILL $running 2>/dev/null || true
		sleep 0.05
	done
	[ -z "$OUT" ] || rm -rf --one-file-system "$OUT" 2>/dev/null || { sleep 1 && rm -rf --one-file-system "$OUT"; }
}
# Ctrl-C reaches us twice: by itself, and as our parent's death. The second must not end the cleanup.
trap 'trap "" INT HUP TERM; exit 143' INT HUP TERM
trap cleanup EXIT
# A trap waits for a command in the foreground, not for one in the background.
run() {
	"$@" &
	wait $!
}

exec 9>"$lock"
run flock 9
[ ! -d "$final" ] || exit 0
rm -rf --one-file-system "$final".tmp.*
find "$(dirname "$final")" -maxdepth 1 -name "$(basename "${final%-*}")-????????????????" -mtime +7 -exec rm -rf --one-file-system {} +
OUT=$(mktemp -d "$final.tmp.XXXXXX")
export OUT
# Linux shares the CPUs by session first (sched(7), autogroup): a new one is not nice because its processes are.
run "${contained[@]}" bash -c '(nice >/proc/self/autogroup) 2>/dev/null; exec bash "$0"' "$script" 9>&-
chmod 755 "$OUT"
mv -T "$OUT" "$final"
OUT=
