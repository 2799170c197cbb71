/* SPDX-License-Identifier: Apache-2.0 */
#include "reset_arrays.h"

#include <errno.h>
#include <stdlib.h>

/* Fewer pages in a row say nothing: they couldn't be moved, say. */
#define RUN_PAGES 8

bool vfrt_arrays_can_be_told(const struct vfrt_reset_request *request)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < request->blocks; i++) {
		uint64_t node = UINT64_C(1) << request->block[i];

		if (seen & node && request->block[i] != request->block[i - 1])
			return false;
		seen |= node;
	}
	return true;
}

void vfrt_array_search_start(struct vfrt_array_search *search, struct vfrt_arrays *arrays,
			     uint64_t least)
{
	*search = (struct vfrt_array_search){
		.arrays = arrays, .least = least, .node = -1, .next = -1
	};
}

static int begin_array(struct vfrt_arrays *arrays, uint64_t rank)
{
	if (!(arrays->count & (arrays->count - 1))) {
		size_t larger = arrays->count ? 2 * arrays->count : 1;
		void *moved = realloc(arrays->first, larger * sizeof *arrays->first);

		if (!moved)
			return -ENOMEM;
		arrays->first = moved;
	}
	arrays->first[arrays->count++] = rank;
	return 0;
}

/* Pages of another node, enough of them, from search->next_start on. */
static int begin_run(struct vfrt_array_search *search)
{
	struct vfrt_arrays *arrays = search->arrays;
	uint64_t node = UINT64_C(1) << search->next;
	int rc = 0;

	if (search->seen & node && arrays->count > 0 &&
	    search->next_start - arrays->first[arrays->count - 1] >= search->least) {
		rc = begin_array(arrays, search->next_start);
		search->seen = 0;
	}
	search->seen |= node;
	search->node = search->next;
	search->next = -1;
	return rc;
}

int vfrt_array_search_page(struct vfrt_array_search *search, int node)
{
	uint64_t rank = search->rank++;
	int rc = 0;

	if (rank == 0)
		rc = begin_array(search->arrays, 0);
	if (rc < 0 || node < 0 || node >= VIRTFLEX_MAX_NODES)
		return rc;
	if (node == search->node) {
		search->next = -1;
		return 0;
	}
	if (node != search->next) {
		search->next = node;
		search->next_start = rank;
		search->next_length = 0;
	}
	return ++search->next_length == RUN_PAGES ? begin_run(search) : 0;
}

uint64_t vfrt_array_of(const struct vfrt_arrays *arrays, uint64_t rank, uint64_t ranks,
		       uint64_t *end)
{
	size_t low = 0, high = arrays->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (arrays->first[middle] <= rank)
			low = middle;
		else
			high = middle;
	}
	*end = low + 1 < arrays->count ? arrays->first[low + 1] : ranks;
	return arrays->count ? arrays->first[low] : 0;
}
