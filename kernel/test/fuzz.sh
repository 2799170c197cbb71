#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# fuzz.sh KERNEL CALLS [SEED]: runs fuzz.c on KERNEL (a bzImage with kernel/patches, such as
# ~/.cache/virtflex/linux-debug-*/vmlinuz) in a machine with four nodes that QEMU emulates, and with as many
# CPUs as this one has, four at most: an emulated CPU waits for the others at each change of a page table, and for long
# where there is no CPU for them.
# Prints what the fuzzer prints and what the kernel logs. Status 0: the calls were made, none
# ended in a way that it should not, and the kernel logged nothing meanwhile but how long an interrupt took.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kernel=$1 calls=$2 seed=${3:-1}
number=$(sed -n '/^+#define __NR_migrate_next_touch /{s///p;q}' "$here"/../patches/*.patch)

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp"/root/{dev,proc,sys}
for program in init fuzz; do
	cc -std=gnu11 -O2 -Wall -Wextra -static -pthread -o "$tmp/root/$program" "$here/$program.c"
done
(cd "$tmp/root" && find . | cpio --quiet -o -H newc) >"$tmp/initrd"

cpus=$(nproc)
((cpus < 4)) || cpus=4
machine=(-smp "$cpus,sockets=$cpus")
for node in 0 1 2 3; do
	machine+=(-object "memory-backend-ram,id=node$node,size=512M"
		-numa "node,nodeid=$node,memdev=node$node")
done
for ((cpu = 0; cpu < cpus; cpu++)); do
	machine+=(-numa "cpu,node-id=$((cpu * 4 / cpus)),socket-id=$cpu")
done
# On a busy machine an emulated CPU may stand still for longer than RCU and the check of the timer have patience for.
qemu-system-x86_64 -accel tcg,thread=multi -machine q35 -cpu max -m 2G "${machine[@]}" \
	-nodefaults -no-reboot -display none -serial stdio -kernel "$kernel" -initrd "$tmp/initrd" \
	-append "earlyprintk=serial,ttyS0,115200,keep printk.devkmsg=on loglevel=4 panic=-1 mitigations=off no_timer_check tsc=reliable \
rcupdate.rcu_cpu_stall_suppress=1 -- /fuzz $number $calls $seed" </dev/null |
	stdbuf -oL tr -d '\r' | tee "$tmp/log"

grep -q 'init: end, status 0$' "$tmp/log" || exit 1
# The timer's code tells, once, of an emulated CPU that stood still, which no parameter stops.
if sed -n '/init: begin/,/init: end/p' "$tmp/log" |
	grep -vE '^\[[ .0-9]*\] (init: |hrtimer: interrupt took [0-9]+ ns$)'; then
	echo "the kernel logged something" >&2
	exit 1
fi
