/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of a test's own, and a page whose every value follows from one
 * stamp, so that a mixture of two is recognised. */
#ifndef VIRTFLEX_SCRATCH_H
#define VIRTFLEX_SCRATCH_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "publisher.h"

static char scratch[64];
static char page_path[128];

static inline void scratch_remove(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -r %s", scratch);
	if (system(command) != 0)
		abort();
}

static inline void scratch_make(void)
{
	strcpy(scratch, "/tmp/guest-notify-XXXXXX");
	if (!mkdtemp(scratch) || atexit(scratch_remove) != 0)
		abort();
	snprintf(page_path, sizeof page_path, "%s/topology", scratch);
}

static inline int publish(struct virtflex_publisher *publisher, uint64_t generation, uint32_t stamp)
{
	struct virtflex_topology_page page = {
		.node_count = 1 + stamp % 64,
		.cpu_count = 1024,
		.reset_call = stamp,
	};

	for (unsigned cpu = 0; cpu < VIRTFLEX_MAX_CPUS; cpu++)
		page.cpu_node[cpu] = (uint16_t)(stamp % page.node_count);
	for (unsigned node = 0; node < VIRTFLEX_MAX_NODES; node++)
		page.node[node].memory_kib = stamp;
	memset(page.distance, (int)(10 + stamp % 200), sizeof page.distance);
	return virtflex_publisher_publish(publisher, (char *)&page + VIRTFLEX_CONTENT_OFFSET,
					  generation);
}

static inline bool of_one_stamp(const struct virtflex_topology_page *page)
{
	uint32_t stamp = page->reset_call;

	if (page->node_count != 1 + stamp % 64 || page->cpu_count != 1024)
		return false;
	for (unsigned cpu = 0; cpu < VIRTFLEX_MAX_CPUS; cpu++)
		if (page->cpu_node[cpu] != stamp % page->node_count)
			return false;
	for (unsigned node = 0; node < VIRTFLEX_MAX_NODES; node++)
		if (page->node[node].memory_kib != stamp)
			return false;
	for (size_t i = 0; i < sizeof page->distance; i++)
		if (((const uint8_t *)page->distance)[i] != 10 + stamp % 200)
			return false;
	return true;
}

#endif
