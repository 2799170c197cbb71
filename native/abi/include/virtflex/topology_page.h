/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The topology page: everything that a runtime may know of its machine's
 * NUMA topology, published by a kernel module (/proc/virtflex/topology) or by
 * a plain process (a file named by $VIRTFLEX_TOPOLOGY), read-only to runtimes.
 *
 * Reading.  A runtime polls ->generation alone with one relaxed 64-bit load.
 * Only when the value differs from the last one seen does it copy the page:
 *
 *	do {
 *		s = load_acquire(sequence);	while (s & 1) retry;
 *		copy;
 *		fence(acquire);
 *	} while (load_relaxed(sequence) != s);
 *
 * bounded in tries: a publisher that died in mid-write leaves the sequence
 * odd, and its successor repairs it.  Counts and node numbers of the copy are
 * checked against the limits below before use; a copy that fails them is
 * ignored as a whole.
 *
 * Writing.  One publisher at a time: sequence to odd, fields, generation,
 * sequence to even.  All integers are little endian.
 *
 * Registering with the kernel module: an open descriptor of the page's file
 * registers the process, writing the decimal generation to it acknowledges.
 *
 * Registering with a plain-file publisher, whose page is the file P: the
 * directory "P.d" stands beside it.
 *   P.d/<pid>        made by the runtime (O_CREAT | O_RDWR, mode 0600), which
 *                    holds a POSIX record lock (F_SETLK, F_WRLCK) on byte 0 for
 *                    as long as it lives and writes "<generation>\n" at offset
 *                    0 to acknowledge.  A file without a lock belongs to a dead
 *                    process: the publisher unlinks it.
 *   P.d/generation   rewritten by the publisher (write, then rename) after each
 *                    new generation: what a waiter watches by inotify, as
 *                    stores to a mapping raise no event.  Two decimal lines: the
 *                    generation, and CLOCK_MONOTONIC in ns when it was published.
 */
#ifndef VIRTFLEX_TOPOLOGY_PAGE_H
#define VIRTFLEX_TOPOLOGY_PAGE_H

#ifdef __KERNEL__
#include <linux/types.h>
#define VIRTFLEX_U8 __u8
#define VIRTFLEX_U16 __u16
#define VIRTFLEX_U32 __u32
#define VIRTFLEX_U64 __u64
#else
#include <stdint.h>
#define VIRTFLEX_U8 uint8_t
#define VIRTFLEX_U16 uint16_t
#define VIRTFLEX_U32 uint32_t
#define VIRTFLEX_U64 uint64_t
#endif

/* "VFTP", read as a little-endian 32-bit number. */
#define VIRTFLEX_PAGE_MAGIC 0x50544656u
#define VIRTFLEX_PAGE_ABI 1u

#define VIRTFLEX_MAX_NODES 64
#define VIRTFLEX_MAX_CPUS 1024

/* cpu_node[] of a CPU that is not online. */
#define VIRTFLEX_CPU_OFFLINE 0xffffu

/* node[].flags */
#define VIRTFLEX_NODE_PRESENT 0x1u    /* the guest was built with this node */
#define VIRTFLEX_NODE_ONLINE 0x2u     /* threads and memory may be placed here */
#define VIRTFLEX_NODE_EVACUATING 0x4u /* being left: place nothing new here */

/* Bytes of the whole mapping: a multiple of 4096. */
#define VIRTFLEX_PAGE_SIZE 8192u

#define VIRTFLEX_TOPOLOGY_ENV "VIRTFLEX_TOPOLOGY"
#define VIRTFLEX_TOPOLOGY_PROC "/proc/virtflex/topology"

struct virtflex_node {
	VIRTFLEX_U32 flags;
	VIRTFLEX_U32 reserved;
	VIRTFLEX_U64 memory_kib; /* what the node has now, not its capacity */
};

struct virtflex_topology_page {
	/* 0: identity, and the sequence lock */
	VIRTFLEX_U32 magic;
	VIRTFLEX_U32 abi;
	VIRTFLEX_U32 sequence;
	VIRTFLEX_U32 page_size;
	VIRTFLEX_U8 pad0[48];

	/* 64: alone on its cache line; raised once for every change that a
	 * runtime should see, never lowered */
	VIRTFLEX_U64 generation;
	VIRTFLEX_U8 pad1[56];

	/* 128: highest id + 1 of each kind */
	VIRTFLEX_U32 node_count;
	VIRTFLEX_U32 cpu_count;
	/* How to ask for a placement reset: 0 = none, user space does it;
	 * else the number of the system call. */
	VIRTFLEX_U32 reset_call;
	VIRTFLEX_U8 pad2[52];

	/* 192 */
	struct virtflex_node node[VIRTFLEX_MAX_NODES];
	/* 1216 */
	VIRTFLEX_U16 cpu_node[VIRTFLEX_MAX_CPUS];
	/* 3264: ACPI SLIT; distance[from][to], 10 on the diagonal */
	VIRTFLEX_U8 distance[VIRTFLEX_MAX_NODES][VIRTFLEX_MAX_NODES];
};

#endif
