/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reset_follow TIMES: an OpenMP program on a machine with several nodes, under
 * a runtime that follows the page which this program publishes itself.  TIMES
 * times the last node leaves and comes back; after each, in the first region,
 * the kernel is asked where the array is.  Then it leaves once more while a page is
 * pinned, which is let go afterwards.  Status 1 where the array isn't where it should
 * be, 77 where there is one node.
 */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "fake.h"
#include "virtflex/machine.h"
#include "virtflex/reset.h"

#define EXTENT ((size_t)2 << 20) /* of a THP: a block of less has no node of its own */
#define BYTES (8 * EXTENT)

static unsigned nodes;
static char *array;
static struct virtflex_topology_page *published;

static struct virtflex_topology_page page_of_this_machine(void)
{
	struct virtflex_topology_page page = fake_page(nodes, VIRTFLEX_MAX_CPUS);

	for (unsigned cpu = 0; cpu < VIRTFLEX_MAX_CPUS; cpu++)
		page.cpu_node[cpu] = VIRTFLEX_CPU_OFFLINE;
	for (unsigned node = 0; node < nodes; node++) {
		struct vfrt_cpus cpus = vfrt_machine_node_cpus(VFRT_SYSFS, node);

		for (unsigned cpu = 0; cpu < VIRTFLEX_MAX_CPUS; cpu++)
			if (vfrt_cpus_has(&cpus, cpu))
				page.cpu_node[cpu] = (uint16_t)node;
	}
	return page;
}

/* The runtime looks for the page when it is loaded: so once more. */
static void start_again(char **argv)
{
	struct virtflex_topology_page page = page_of_this_machine();
	char path[PATH_MAX];

	fake_publisher("page", &page);
	snprintf(path, sizeof path, "%s/page.d", fake_directory());
	CHECK(mkdir(path, 0700) == 0);
	snprintf(path, sizeof path, "%s/page", fake_directory());
	setenv(VIRTFLEX_TOPOLOGY_ENV, path, 1);
	setenv("OMP_PROC_BIND", "close", 1);
	setenv("OMP_PLACES", "threads", 1);
	execv("/proc/self/exe", argv);
	perror("execv");
	exit(1);
}

static uint64_t publish(uint32_t flags)
{
	struct virtflex_topology_page page = page_of_this_machine();

	page.node[nodes - 1].flags = VIRTFLEX_NODE_PRESENT | flags;
	fake_publish(published, &page);
	return published->generation;
}

static int acknowledged(uint64_t generation)
{
	char path[PATH_MAX], text[32] = "";
	int fd;

	snprintf(path, sizeof path, "%s.d/%d", getenv(VIRTFLEX_TOPOLOGY_ENV), (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && read(fd, text, sizeof text - 1) >= 0);
	close(fd);
	return strtoull(text, NULL, 10) == generation;
}

/* Of the pages that begin in the range. */
static size_t count_on(size_t from, size_t to, unsigned node, size_t *all)
{
	size_t found = 0;

	*all = 0;
	for (size_t i = (from + 4095) / 4096 * 4096; i < to; i += 4096, ++*all) {
		void *page = array + i;
		int on = -1;

		CHECK(syscall(SYS_move_pages, 0, 1, &page, NULL, &on, 0) == 0);
		found += on == (int)node;
	}
	return found;
}

/* Enters the one region, where all threads meet the new generation. */
static int region(int check_blocks)
{
	int good = 1;

#pragma omp parallel reduction(&& : good)
	{
		size_t threads = (size_t)omp_get_num_threads(), all, near;
		size_t me = (size_t)omp_get_thread_num();
		unsigned node;

#pragma omp barrier
		CHECK(syscall(SYS_getcpu, NULL, &node, NULL) == 0);
		if (check_blocks) {
			near = count_on(BYTES / threads * me, BYTES / threads * (me + 1), node, &all);
			good = near * 100 >= all * 95;
		}
	}
	return good;
}

/* A page in a pipe is pinned until it has been read. */
static void pin(int fd[2], char *page)
{
	struct iovec all = { page, 4096 };

	CHECK(pipe(fd) == 0 && vmsplice(fd[1], &all, 1, 0) == 4096);
}

static void unpin(int fd[2])
{
	char page[4096];

	CHECK(read(fd[0], page, sizeof page) == sizeof page);
	close(fd[0]);
	close(fd[1]);
}

/* What was pinned leaves in a region that begins later; how often the runtime tries
 * is bounded, so that it has to be let go soon. */
static int leaves_later(void)
{
	size_t last = BYTES - 4096, all, left;
	time_t until;
	int fd[2];

	pin(fd, array + last);
	publish(VIRTFLEX_NODE_ONLINE | VIRTFLEX_NODE_EVACUATING);
	region(0);
	left = count_on(0, BYTES, nodes - 1, &all);
	unpin(fd);
	for (until = time(NULL) + 60; time(NULL) < until && count_on(0, BYTES, nodes - 1, &all) > 0;)
		region(0);
	printf("pinned %zu, later %zu\n", left, count_on(0, BYTES, nodes - 1, &all));
	return left > 0 && count_on(0, BYTES, nodes - 1, &all) == 0;
}

int main(int argc, char **argv)
{
	int times = argc == 2 ? atoi(argv[1]) : 0, left = 0, placed = 0;
	size_t all;
	int later;

	CHECK(times > 0);
	nodes = (unsigned)__builtin_popcountll(vfrt_reset_memory_nodes(VFRT_SYSFS));
	if (nodes < 2) {
		puts("one node");
		return 77;
	}
	if (!getenv(VIRTFLEX_TOPOLOGY_ENV))
		start_again(argv);
	fake_adopt(dirname(strdupa(getenv(VIRTFLEX_TOPOLOGY_ENV))));
	published = fake_published("page");
	array = aligned_alloc(EXTENT, BYTES);
	CHECK(array);
#pragma omp parallel for schedule(static)
	for (size_t i = 0; i < BYTES; i++)
		array[i] = (char)(i / 4096);

	for (int i = 0; i < times; i++) {
		uint64_t generation = publish(VIRTFLEX_NODE_ONLINE | VIRTFLEX_NODE_EVACUATING);

		region(0);
		left += count_on(0, BYTES, nodes - 1, &all) == 0 && acknowledged(generation);
		generation = publish(VIRTFLEX_NODE_ONLINE);
		placed += region(1) && acknowledged(generation);
	}
	later = leaves_later();
	for (size_t i = 0; i < BYTES; i++)
		CHECK(array[i] == (char)(i / 4096));
	printf("left %d placed %d of %d\n", left, placed, times);
	return left != times || placed != times || !later;
}
