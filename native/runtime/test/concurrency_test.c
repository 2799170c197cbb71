/* SPDX-License-Identifier: Apache-2.0 */
/* Threads poll and copy while a publisher writes: no copy is torn. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"
#include "fake.h"
#include "virtflex/page.h"

#define READERS 3
#define GENERATIONS 2000

static struct virtflex_topology_page page;
static atomic_bool finished;

/* Every field of a generation says which one it is. */
static void mark(struct virtflex_topology_page *next, uint64_t generation)
{
	next->node_count = 1 + generation % VIRTFLEX_MAX_NODES;
	next->reset_call = (uint32_t)generation;
	for (unsigned node = 0; node < VIRTFLEX_MAX_NODES; node++)
		next->node[node].memory_kib = generation;
	for (unsigned cpu = 0; cpu < VIRTFLEX_MAX_CPUS; cpu++)
		next->cpu_node[cpu] = generation % next->node_count;
	next->distance[63][63] = (uint8_t)generation;
}

static void *read_page(void *unused)
{
	uint64_t seen = 0;
	unsigned long copies = 0;

	while (!atomic_load(&finished)) {
		struct virtflex_topology_page copy;
		int rc;

		if (vfrt_page_generation(&page) == seen)
			continue;
		rc = vfrt_copy(&copy, &page);
		if (rc == -EAGAIN)
			continue;
		CHECK(rc == 0 && copy.generation >= seen);
		seen = copy.generation;
		if (seen == 1)
			continue;
		CHECK(copy.node_count == 1 + seen % VIRTFLEX_MAX_NODES);
		CHECK(copy.reset_call == (uint32_t)seen);
		for (unsigned node = 0; node < VIRTFLEX_MAX_NODES; node++)
			CHECK(copy.node[node].memory_kib == seen);
		for (unsigned cpu = 0; cpu < VIRTFLEX_MAX_CPUS; cpu++)
			CHECK(copy.cpu_node[cpu] == seen % copy.node_count);
		CHECK(copy.distance[63][63] == (uint8_t)seen);
		copies++;
	}
	CHECK(copies > 0);
	return unused;
}

int main(void)
{
	struct virtflex_topology_page next;
	pthread_t reader[READERS];

	page = fake_page(1, VIRTFLEX_MAX_CPUS);
	next = page;
	for (int i = 0; i < READERS; i++)
		CHECK(pthread_create(&reader[i], NULL, read_page, NULL) == 0);
	for (uint64_t generation = 2; generation <= GENERATIONS; generation++) {
		mark(&next, generation);
		fake_publish(&page, &next);
	}
	/* The readers get the last one even where they saw no other. */
	usleep(200000);
	atomic_store(&finished, true);
	for (int i = 0; i < READERS; i++)
		CHECK(pthread_join(reader[i], NULL) == 0);
	return 0;
}
