// SPDX-License-Identifier: Apache-2.0
/*
 * Nanoseconds from a new generation of the page to the last thread bound, when
 * the second node is taken away and comes back; the median of so many turns.
 *
 *     bound PAGE TURNS     prints "shrink NS", "expand NS"
 *     bound - TURNS        prints "bind NS": a region whose threads bind themselves
 */
#include <fcntl.h>
#include <omp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <virtflex/topology_page.h>

#define MAX_THREADS 1024

static struct virtflex_topology_page *page;
static double bound_at[MAX_THREADS];
static cpu_set_t mask[MAX_THREADS];

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "bound: %s\n", what);
	exit(1);
}

/* As the page's header says: odd while it is written. */
static void publish(uint32_t flags)
{
	uint32_t sequence = page->sequence;

	__atomic_store_n(&page->sequence, sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&page->node[1].flags, flags, __ATOMIC_RELAXED);
	__atomic_store_n(&page->generation, page->generation + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&page->sequence, sequence + 2, __ATOMIC_RELEASE);
}

static double last(int threads)
{
	double latest = 0;

	for (int i = 0; i < threads; i++)
		if (bound_at[i] > latest)
			latest = bound_at[i];
	return latest;
}

/* No thread may run on a CPU of a node that isn't to be used. */
static void check(int threads, int expected, uint32_t flags)
{
	if (threads != expected)
		fail("the team has another size than the topology says");
	for (int i = 0; i < threads; i++)
		for (unsigned cpu = 0; cpu < page->cpu_count; cpu++)
			if (CPU_ISSET(cpu, &mask[i]) && page->cpu_node[cpu] == 1 &&
			    flags & VIRTFLEX_NODE_EVACUATING)
				fail("a thread is on a node that was taken away");
}

static double change(uint32_t flags, int expected)
{
	int threads = 0;
	double begun = now_ns();

	publish(flags);
#pragma omp parallel
	{
		int thread = omp_get_thread_num();

		bound_at[thread] = now_ns();
		sched_getaffinity(0, sizeof *mask, &mask[thread]);
#pragma omp master
		threads = omp_get_num_threads();
	}
	check(threads, expected, flags);
	return last(threads) - begun;
}

static double bind(void)
{
	int threads = 0;
	double begun = now_ns();

#pragma omp parallel
	{
		int thread = omp_get_thread_num();

		sched_getaffinity(0, sizeof *mask, &mask[thread]);
		sched_setaffinity(0, sizeof *mask, &mask[thread]);
		bound_at[thread] = now_ns();
#pragma omp master
		threads = omp_get_num_threads();
	}
	return last(threads) - begun;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const char *name, double *value, int count)
{
	qsort(value, (size_t)count, sizeof *value, ascending);
	printf("%s %.0f\n", name, value[count / 2]);
}

int main(int argc, char **argv)
{
	const uint32_t used = VIRTFLEX_NODE_PRESENT | VIRTFLEX_NODE_ONLINE;
	const int turns = argc == 3 ? atoi(argv[2]) : 0;
	double *shrink = calloc((size_t)turns, sizeof *shrink);
	double *expand = calloc((size_t)turns, sizeof *expand);
	int fd, all = omp_get_max_threads(), first = 0;

	if (turns < 1 || !shrink || !expand || all > MAX_THREADS) {
		fprintf(stderr, "usage: bound PAGE|- TURNS\n");
		return 2;
	}
	if (strcmp(argv[1], "-") == 0) {
		bind();
		for (int i = 0; i < turns; i++)
			shrink[i] = bind();
		print("bind", shrink, turns);
		return 0;
	}
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	page = mmap(NULL, VIRTFLEX_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		fail("no such page");
	for (unsigned cpu = 0; cpu < page->cpu_count; cpu++)
		first += page->cpu_node[cpu] == 0;
	change(used, all);
	for (int i = 0; i < turns; i++) {
		shrink[i] = change(used | VIRTFLEX_NODE_EVACUATING, first < all ? first : all);
		expand[i] = change(used, all);
	}
	print("shrink", shrink, turns);
	print("expand", expand, turns);
	close(fd);
	return 0;
}
