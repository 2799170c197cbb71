#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two tools at once: the program follows, and the other tool sees each region and
# task with its data; and where there is no page, the other tool is there alone.
set -eu
follow=$1
follower=$2
counts='witness: [1-9][0-9]* regions, [1-9][0-9]* tasks, 0 lost'

"$follow" "$follower" parallel cores 2>followed.log || { cat followed.log; exit 1; }
grep -q "$counts" followed.log || { cat followed.log; echo "the other tool lost events"; exit 1; }

echo 5 | VIRTFLEX_TOPOLOGY=/nonexistent "$follower" parallel 2>alone.log | grep -q '^[0-9]* right'
grep -q "$counts" alone.log || { cat alone.log; echo "no page, no other tool"; exit 1; }
