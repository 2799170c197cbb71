/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays that the kernel has merged into one mapping: those that a program
 * allocates one after the other lie side by side.  They are told apart by where
 * their pages are.  A team that has touched each of them first, or a reset that
 * has dealt them, left them on its nodes in order; where a node comes a second
 * time, another array begins.
 */
#ifndef VFRT_RESET_ARRAYS_H
#define VFRT_RESET_ARRAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtflex/reset.h"

/* Pages of a mapping, by rank: so many of those that are present are before it. */
struct vfrt_arrays {
	size_t count;
	uint64_t *first; /* rank of each array's first page; first[0] is 0 */
};

struct vfrt_array_search {
	struct vfrt_arrays *arrays;
	uint64_t least; /* pages of an array */
	uint64_t seen;	/* nodes of this array */
	uint64_t rank;	/* of the next page */
	/* The run of pages of one node, and one that may follow it. */
	int node, next;
	uint64_t next_start, next_length;
};

/* Whether the team's nodes follow one another: one that comes again in the middle
 * of an array says nothing. */
bool vfrt_arrays_can_be_told(const struct vfrt_reset_request *request);

void vfrt_array_search_start(struct vfrt_array_search *search, struct vfrt_arrays *arrays,
			     uint64_t least);

/* The node of the next page, or a negative number.  Returns 0 or -ENOMEM. */
int vfrt_array_search_page(struct vfrt_array_search *search, int node);

/* Its first page's rank and, in *end, the rank behind its last page. */
uint64_t vfrt_array_of(const struct vfrt_arrays *arrays, uint64_t rank, uint64_t ranks,
		       uint64_t *end);

#endif
