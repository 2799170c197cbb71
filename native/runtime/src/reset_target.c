/* SPDX-License-Identifier: Apache-2.0 */
#include "reset_target.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* A mapping with less for each block isn't an array that a team shares: it
 * stays, as a thread's stack does. */
#define PAGES_A_BLOCK 16

static uint64_t read_free(const char *sysfs, unsigned node)
{
	char path[PATH_MAX], line[256];
	uint64_t kib = 0;
	FILE *file;

	snprintf(path, sizeof path, "%s/devices/system/node/node%u/meminfo", sysfs, node);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "Node %*u MemFree: %lu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

void vfrt_targets_start(struct vfrt_targets *targets, const struct vfrt_reset_request *request,
			const char *sysfs)
{
	targets->request = request;
	for (unsigned node = 0; node < VIRTFLEX_MAX_NODES; node++)
		targets->free_kib[node] =
			request->nodes >> node & 1 ? read_free(sysfs, node) : 0;
}

static bool has(uint64_t nodes, int node)
{
	return node >= 0 && node < VIRTFLEX_MAX_NODES && (nodes >> node & 1);
}

static int nth(uint64_t nodes, unsigned n)
{
	n %= (unsigned)__builtin_popcountll(nodes);
	while (n--)
		nodes &= nodes - 1;
	return __builtin_ctzll(nodes);
}

/* Each 2 MiB go to a node, in proportion to what is free there over how far it
 * is.  Without memory of what was done, so that threads need not agree: multiples
 * of the golden ratio fill the unit interval evenly. */
static int spread(const struct vfrt_targets *targets, uint64_t nodes, uintptr_t address, int from,
		  unsigned retry)
{
	uint64_t weight[VIRTFLEX_MAX_NODES] = { 0 }, total = 0, point;

	for (unsigned node = 0; node < VIRTFLEX_MAX_NODES; node++) {
		unsigned distance = from >= 0 ? targets->request->distance[from][node] : 0;

		if (!(nodes >> node & 1))
			continue;
		/* Capped, so that no product below overflows; never nothing. */
		weight[node] = targets->free_kib[node] / (distance ? distance : 10) + 1;
		if (weight[node] > UINT64_C(1) << 40)
			weight[node] = UINT64_C(1) << 40;
		total += weight[node];
	}
	point = (uint64_t)(address / VFRT_EXTENT) * UINT64_C(0x9e3779b97f4a7c15);
	point = (uint64_t)((unsigned __int128)point * total >> 64);
	for (unsigned node = 0; node < VIRTFLEX_MAX_NODES; node++) {
		if (point < weight[node]) {
			unsigned before = (unsigned)__builtin_popcountll(
				nodes & ((UINT64_C(1) << node) - 1));

			return nth(nodes, before + retry);
		}
		point -= weight[node];
	}
	return VFRT_NO_TARGET;
}

static bool dealt(const struct vfrt_targets *targets, const struct vfrt_region *region)
{
	const struct vfrt_reset_request *request = targets->request;

	return request->mode == VFRT_RESET_SPREAD && request->blocks > 0 && !region->stack &&
	       region->pages * (region->page_size / 4096) >=
		       (uint64_t)PAGES_A_BLOCK * request->blocks;
}

/* The static schedule's owner of the middle of the page. */
static int owner(const struct vfrt_targets *targets, const struct vfrt_region *region,
		 uintptr_t address, size_t size)
{
	const struct vfrt_reset_request *request = targets->request;
	uint64_t offset = address + size / 2 - region->start;
	unsigned block = (unsigned)((unsigned __int128)offset * request->blocks /
				    (region->end - region->start));

	return request->block[block < request->blocks ? block : request->blocks - 1];
}

static int by_default(const struct vfrt_targets *targets, const struct vfrt_region *region,
		      uintptr_t address, size_t size, int now, unsigned retry)
{
	uint64_t nodes = targets->request->nodes;

	if (dealt(targets, region)) {
		int node = owner(targets, region, address, size);

		if (has(nodes, node) && (retry == 0 || has(nodes, now)))
			return node;
	}
	return has(nodes, now) ? now : spread(targets, nodes, address, now, retry);
}

int vfrt_target(const struct vfrt_targets *targets, const struct vfrt_region *region,
		uintptr_t address, size_t size, int now, unsigned retry)
{
	uint64_t nodes = targets->request->nodes, set = region->policy_nodes & nodes;

	switch (region->policy) {
	case VFRT_POLICY_DEFAULT:
		break;
	case VFRT_POLICY_INTERLEAVE:
		/* As the kernel, for a mapping that wasn't moved by mremap. */
		if (set && (retry == 0 || has(set, now)))
			return nth(set, (unsigned)(address / size));
		break;
	case VFRT_POLICY_BIND:
		if (has(set, now))
			return now;
		if (!set)
			return has(nodes, now) ? now : VFRT_NO_TARGET;
		return spread(targets, set, address, now, retry);
	case VFRT_POLICY_PREFERRED:
		if (set && (retry == 0 || has(nodes, now)))
			return nth(set, 0);
		return has(nodes, now) ? now : spread(targets, nodes, address, now, retry);
	case VFRT_POLICY_PREFERRED_MANY:
		if (has(set, now))
			return now;
		if (set && retry == 0)
			return spread(targets, set, address, now, 0);
		return has(nodes, now) ? now : spread(targets, nodes, address, now, retry);
	}
	return by_default(targets, region, address, size, now, retry);
}

bool vfrt_target_concerns(const struct vfrt_targets *targets, const struct vfrt_region *region)
{
	uint64_t nodes = targets->request->nodes, set = region->policy_nodes & nodes;

	if (region->nodes & ~nodes)
		return true;
	switch (region->policy) {
	case VFRT_POLICY_DEFAULT:
		return dealt(targets, region);
	case VFRT_POLICY_INTERLEAVE:
		return set != 0;
	default:
		return set && (region->nodes & ~set);
	}
}
