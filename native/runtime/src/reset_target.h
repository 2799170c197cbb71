/* SPDX-License-Identifier: Apache-2.0 */
/* Where a page belongs. */
#ifndef VFRT_RESET_TARGET_H
#define VFRT_RESET_TARGET_H

#include "reset_maps.h"
#include "virtflex/reset.h"

#define VFRT_EXTENT ((uintptr_t)1 << 21) /* of a THP */

/* A page that must leave its node, but may go to no other. */
#define VFRT_NO_TARGET (-1)

struct vfrt_targets {
	const struct vfrt_reset_request *request;
	uint64_t free_kib[VIRTFLEX_MAX_NODES];
};

/* Reads what is free on each node. */
void vfrt_targets_start(struct vfrt_targets *targets, const struct vfrt_reset_request *request,
			const char *sysfs);

struct vfrt_place {
	uintptr_t address;
	size_t size;   /* of the page, bytes */
	uint64_t rank; /* 4 KiB of the region that are present before it */
	int now;       /* node */
};

/* The node for a page: often that which it is on.  What leaves a full node tries
 * another one for each retry. */
int vfrt_target(const struct vfrt_targets *targets, const struct vfrt_region *region,
		struct vfrt_place page, unsigned retry);

/* Pages of 4 KiB: what is smaller isn't dealt in blocks. */
uint64_t vfrt_target_least(const struct vfrt_targets *targets);

/* Whether the region is to be dealt in blocks. */
bool vfrt_target_deals(const struct vfrt_targets *targets, const struct vfrt_region *region);

/* Whether vfrt_target may differ from now for any page of the region. */
bool vfrt_target_concerns(const struct vfrt_targets *targets, const struct vfrt_region *region);

#endif
