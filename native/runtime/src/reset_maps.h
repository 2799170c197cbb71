/* SPDX-License-Identifier: Apache-2.0 */
/* The process' mappings, as far as a reset is concerned. */
#ifndef VFRT_RESET_MAPS_H
#define VFRT_RESET_MAPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reset_arrays.h"

enum vfrt_policy {
	VFRT_POLICY_DEFAULT, /* and "local" */
	VFRT_POLICY_BIND,
	VFRT_POLICY_PREFERRED,
	VFRT_POLICY_PREFERRED_MANY,
	VFRT_POLICY_INTERLEAVE,
};

struct vfrt_region {
	uintptr_t start, end;
	size_t page_size; /* bytes; more than 4096 for hugetlb alone */
	bool has_thp;
	enum vfrt_policy policy;
	uint64_t policy_nodes;
	uint64_t nodes;	  /* that it has pages on */
	uint64_t pages;	  /* present, of page_size */
	bool dealt;	  /* in blocks, by rank */
	uint64_t ranks;	  /* of 4 KiB: how many */
	struct vfrt_arrays arrays;
	bool stack;	  /* the primary thread's: not dealt in blocks */
	/* Nor is another thread's, which the kernel may have merged with arrays. */
	atomic_uintptr_t stack_start, stack_end;
	bool changed; /* since the plan was made */
};

struct vfrt_regions {
	size_t count;
	struct vfrt_region *region; /* ascending */
};

/* Reads <proc>/smaps and <proc>/numa_maps.  What is mapped between the two, and
 * what has no page, is left out.  Returns 0 or a negative errno. */
int vfrt_regions_read(struct vfrt_regions *regions, const char *proc);
void vfrt_regions_free(struct vfrt_regions *regions);

/* Whether one of them has all of the region, of the same policy and page size. */
bool vfrt_regions_hold(const struct vfrt_regions *regions, const struct vfrt_region *region);

/* One line of numa_maps (Linux: Documentation/admin-guide/mm/numa_memory_policy.rst,
 * proc(5)); false for what isn't one. */
bool vfrt_region_parse(struct vfrt_region *region, const char *line);

/* "0-3,8" up to anything else; 0 for none. */
uint64_t vfrt_nodes_parse(const char *text);

#endif
