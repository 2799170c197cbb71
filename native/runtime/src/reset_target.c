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

uint64_t vfrt_target_least(const struct vfrt_targets *targets)
{
	return (uint64_t)PAGES_A_BLOCK * targets->request->blocks;
}

bool vfrt_target_deals(const struct vfrt_targets *targets, const struct vfrt_region *region)
{
	const struct vfrt_reset_request *request = targets->request;

	return request->mode == VFRT_RESET_SPREAD && request->blocks > 0 && !region->stack &&
	       region->policy == VFRT_POLICY_DEFAULT &&
	       region->pages * (region->page_size / 4096) >=
		       vfrt_target_least(targets);
}

/* The static schedule's owner of the middle of the page.  By rank, not by
 * address: a mapping may have holes, and neighbours that the kernel merged with
 * it, of which little is present: a thread's stack, say. */
static int owner(const struct vfrt_targets *targets, const struct vfrt_region *region,
		 const struct vfrt_place *page)
{
	const struct vfrt_reset_request *request = targets->request;
	uint64_t end, rank = page->rank + page->size / 8192;
	uint64_t first = vfrt_array_of(&region->arrays, rank, region->ranks, &end);
	unsigned block = (unsigned)((unsigned __int128)(rank - first) * request->blocks /
				    (end - first));

	return request->block[block < request->blocks ? block : request->blocks - 1];
}

static bool in_stack(const struct vfrt_region *region, uintptr_t address)
{
	return address >= atomic_load(&region->stack_start) &&
	       address < atomic_load(&region->stack_end);
}

static int by_default(const struct vfrt_targets *targets, const struct vfrt_region *region,
		      const struct vfrt_place *page, unsigned retry)
{
	uint64_t nodes = targets->request->nodes;

	if (region->dealt && !in_stack(region, page->address)) {
		int node = owner(targets, region, page);

		if (has(nodes, node) && (retry == 0 || has(nodes, page->now)))
			return node;
	}
	return has(nodes, page->now) ? page->now
				     : spread(targets, nodes, page->address, page->now, retry);
}

int vfrt_target(const struct vfrt_targets *targets, const struct vfrt_region *region,
		struct vfrt_place page, unsigned retry)
{
	uint64_t nodes = targets->request->nodes, set = region->policy_nodes & nodes;

	switch (region->policy) {
	case VFRT_POLICY_DEFAULT:
		break;
	case VFRT_POLICY_INTERLEAVE:
		/* As the kernel, for a mapping that wasn't moved by mremap. */
		if (set && (retry == 0 || has(set, page.now)))
			return nth(set, (unsigned)(page.address / page.size));
		break;
	case VFRT_POLICY_BIND:
		if (has(set, page.now))
			return page.now;
		if (!set)
			return has(nodes, page.now) ? page.now : VFRT_NO_TARGET;
		return spread(targets, set, page.address, page.now, retry);
	case VFRT_POLICY_PREFERRED:
		if (set && (retry == 0 || has(nodes, page.now)))
			return nth(set, 0);
		break;
	case VFRT_POLICY_PREFERRED_MANY:
		if (has(set, page.now))
			return page.now;
		if (set && retry == 0)
			return spread(targets, set, page.address, page.now, 0);
		break;
	}
	return by_default(targets, region, &page, retry);
}

bool vfrt_target_concerns(const struct vfrt_targets *targets, const struct vfrt_region *region)
{
	uint64_t nodes = targets->request->nodes, set = region->policy_nodes & nodes;

	if (region->nodes & ~nodes)
		return true;
	switch (region->policy) {
	case VFRT_POLICY_DEFAULT:
		return vfrt_target_deals(targets, region);
	case VFRT_POLICY_INTERLEAVE:
		return set != 0;
	default:
		return set && (region->nodes & ~set);
	}
}
