/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a process that isn't there, on nodes that nobody owns: smaps,
 * numa_maps and pagemap as files, and move_pages as Linux 6.1 does it: pages of
 * the same target go in one batch, and the first batch of which one page can't
 * be moved ends the call, what follows it not even tried and not told.
 */
#ifndef FAKE_MEMORY_H
#define FAKE_MEMORY_H

#include "virtflex/reset.h"

#define FAKE_BASE ((uintptr_t)0x10000000)
#define FAKE_BYTES ((uintptr_t)96 << 20)
#define FAKE_PAGES (FAKE_BYTES / 4096)
#define FAKE_NODES 4
#define FAKE_ABSENT (-1)

struct fake_page {
	int node; /* FAKE_ABSENT: none there */
	bool thp; /* part of one: the extent moves as one */
	bool pinned, shared, marked;
	bool foreign; /* the module leaves it to move_pages */
};

struct fake_memory {
	struct fake_page page[FAKE_PAGES];
	uint64_t room[FAKE_NODES]; /* pages that still fit */
	unsigned refuse_all;	   /* errno of every call, as a seccomp filter does */
	unsigned long calls;	   /* of move_pages */
	unsigned long small_calls; /* of the module */
	unsigned no_next_touch;	   /* errno of migrate_next_touch() */
	unsigned no_module;	   /* errno of the module's ioctl */
	uint64_t next_touch_left;
	uint64_t next_touch_nodes; /* of the last that was asked for */
	uint64_t now;		   /* ns */
};

#define FAKE_CALL 500
#define FAKE_MODULE 7

extern struct fake_memory fake_memory;
extern const struct vfrt_reset_kernel *fake_kernel;

/* No memory, and nodes that are distance 20 apart with room for all. */
void fake_memory_clear(void);

/* A mapping of pages present on node, from offset on (bytes from FAKE_BASE).
 * policy as in numa_maps; more is appended to its line there. */
void fake_memory_map(uintptr_t offset, uintptr_t bytes, const char *policy, int node, bool thp,
		     const char *more);

/* Writes the files for what is mapped now. */
void fake_memory_publish(void);

uint64_t fake_memory_on(uintptr_t offset, uintptr_t bytes, int node);

#endif
