// SPDX-License-Identifier: Apache-2.0
/*
 * For a machine with four nodes, one of which leaves:
 *
 *   reset MIB base|thp [NUMBER]
 *
 * has so much memory on the last node, and moves it to the others by each way of
 * virtflex/reset.h and by 1 to 4 threads, the memory in as many blocks, thread N on
 * node N modulo 3; and the same by one thread that calls move_pages(2), and by one
 * that calls migrate_pages(2), which knows one node to go to. NUMBER is that of
 * migrate_next_touch() where no module tells it.
 *
 * Prints lines "NAME NS". Status 1 where memory isn't where it should be.
 */
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "virtflex/machine.h"
#include "virtflex/page.h"
#include "virtflex/reset.h"

#define PAGE 4096UL
#define EXTENT (2UL << 20)
#define LAST 3u /* node that leaves */
#define MOST_THREADS 4u

static char *memory;
static size_t bytes, step; /* one page of each THP stands for all of it */
static void **page;
static int *node, *status;
static int module = -1;
static uint32_t call;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	return vfrt_reset_kernel.now(NULL);
}

static void run_on(unsigned of)
{
	struct vfrt_cpus cpus = vfrt_machine_node_cpus(VFRT_SYSFS, of);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(vfrt_cpus_next(&cpus, 0), &set);
	if (sched_setaffinity(0, sizeof set, &set))
		die("sched_setaffinity");
}

static char *map(void)
{
	char *start = mmap(NULL, bytes + EXTENT, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED)
		die("mmap");
	start += EXTENT - (size_t)start % EXTENT;
	if (madvise(start, bytes, step == EXTENT ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		die("madvise");
	return start;
}

/* Of the thread whose block the page begins in. */
static int target(size_t offset, unsigned threads)
{
	return (int)((unsigned)(offset / (bytes / threads + 1)) % LAST);
}

static void move_all(unsigned threads)
{
	size_t count = bytes / step;

	for (size_t i = 0; i < count; i++)
		node[i] = threads ? target(i * step, threads) : (int)LAST;
	if (syscall(SYS_move_pages, 0, count, page, node, status, MPOL_MF_MOVE) < 0)
		die("move_pages");
}

/* At least 95 % are on their nodes; with 0 threads, all on the last. */
static void check(unsigned threads, const char *what)
{
	size_t count = bytes / step, right = 0;

	if (syscall(SYS_move_pages, 0, count, page, NULL, status, 0) < 0)
		die("move_pages");
	for (size_t i = 0; i < count; i++)
		right += status[i] == (threads ? target(i * step, threads) : (int)LAST);
	if (right * 100 >= count * 95)
		return;
	fprintf(stderr, "%s, %u threads: %zu of %zu where they belong\n", what, threads, right,
		count);
	exit(1);
}

static void back(void)
{
	run_on(LAST);
	move_all(0);
	check(0, "back");
}

static struct worker {
	pthread_t thread;
	unsigned number, of;
	struct vfrt_reset *reset; /* NULL: touch your block */
} worker[MOST_THREADS];

static pthread_barrier_t ready, done;

/* Where the first page begins that begins in the block. */
static size_t first_of(unsigned block, unsigned threads)
{
	size_t start = (bytes / threads + 1) * block;

	return start < bytes ? (start + step - 1) / step * step : bytes;
}

static void *work(void *argument)
{
	struct worker *me = argument;
	size_t first = first_of(me->number, me->of), end = first_of(me->number + 1, me->of);

	run_on(me->number % LAST);
	pthread_barrier_wait(&ready);
	if (me->reset)
		vfrt_reset_work(me->reset);
	else
		for (size_t i = first; i < end; i += PAGE)
			(void)*(volatile char *)(memory + i);
	pthread_barrier_wait(&done);
	return NULL;
}

/* Returns the time from when all threads are there until all have done it. */
static uint64_t together(unsigned threads, struct vfrt_reset *reset)
{
	uint64_t start;

	pthread_barrier_init(&ready, NULL, threads + 1);
	pthread_barrier_init(&done, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++) {
		worker[i] = (struct worker){ .number = i, .of = threads, .reset = reset };
		if (pthread_create(&worker[i].thread, NULL, work, &worker[i]))
			die("pthread_create");
	}
	pthread_barrier_wait(&ready);
	start = now();
	pthread_barrier_wait(&done);
	start = now() - start;
	for (unsigned i = 0; i < threads; i++)
		pthread_join(worker[i].thread, NULL);
	return start;
}

static void reset(enum vfrt_reset_way way, unsigned threads)
{
	struct vfrt_reset_request request = {
		.mode = VFRT_RESET_SPREAD,
		.nodes = (UINT64_C(1) << LAST) - 1,
		.blocks = threads,
		.module = way == VFRT_RESET_WAY_MOVE_PAGES ? -1 : module,
		.call = way == VFRT_RESET_WAY_NEXT_TOUCH ? call : 0,
	};
	struct vfrt_reset_result result;
	struct vfrt_reset *begun;
	uint64_t begin, rest;

	for (unsigned i = 0; i < threads; i++)
		request.block[i] = (uint8_t)(i % LAST);
	memset(request.distance, 10, sizeof request.distance);
	run_on(0);
	begin = now();
	if (vfrt_reset_begin(&begun, &request, &vfrt_reset_kernel) < 0)
		die("vfrt_reset_begin");
	begin = now() - begin;
	rest = together(threads, way == VFRT_RESET_WAY_NEXT_TOUCH ? NULL : begun);
	vfrt_reset_done(begun, &result);
	vfrt_reset_end(begun);
	if (result.way != way) {
		fprintf(stderr, "by %s\n", vfrt_reset_way_name(result.way));
		exit(1);
	}
	check(threads, vfrt_reset_way_name(way));
	if (way == VFRT_RESET_WAY_NEXT_TOUCH)
		printf("call-%u %lu\n", threads, begin);
	printf("%s-%u %lu\n",
	       way == VFRT_RESET_WAY_NEXT_TOUCH ? "next-touch" :
	       way == VFRT_RESET_WAY_MODULE	? "module" :
						  "move_pages",
	       threads, begin + rest);
}

static void baselines(unsigned threads)
{
	const unsigned long from = 1ul << LAST, to = 1;
	uint64_t start;

	back();
	start = now();
	move_all(threads);
	printf("one-%u %lu\n", threads, now() - start);
	check(threads, "move_pages(2)");
	if (threads > 1)
		return;
	back();
	start = now();
	if (syscall(SYS_migrate_pages, 0, 65ul, &from, &to) < 0)
		die("migrate_pages");
	printf("migrate_pages %lu\n", now() - start);
	check(1, "migrate_pages(2)");
}

static void copy(void)
{
	char *to = map();
	uint64_t start;

	memset(to, 1, bytes);
	start = now();
	memcpy(to, memory, bytes);
	printf("memcpy %lu\n", now() - start);
	munmap(to, bytes);
}

static void find_ways(const char *number)
{
	struct vfrt_mapping mapping;

	if (vfrt_map(&mapping, VIRTFLEX_TOPOLOGY_PROC) == 0) {
		module = mapping.fd;
		call = mapping.page->reset_call;
	}
	if (number)
		call = (uint32_t)atoi(number);
}

int main(int argc, char **argv)
{
	size_t count;

	if (argc < 3 || atoi(argv[1]) <= 0)
		return 2;
	bytes = (size_t)atoi(argv[1]) << 20;
	step = strcmp(argv[2], "thp") == 0 ? EXTENT : PAGE;
	count = bytes / step;
	setvbuf(stdout, NULL, _IOLBF, 0);
	find_ways(argv[3]);
	page = malloc(count * sizeof *page);
	node = malloc(count * sizeof *node);
	status = malloc(count * sizeof *status);
	if (!page || !node || !status)
		die("malloc");
	run_on(LAST);
	memory = map();
	memset(memory, 1, bytes);
	for (size_t i = 0; i < count; i++)
		page[i] = memory + i * step;
	check(0, "first touch");
	copy();
	for (unsigned threads = 1; threads <= MOST_THREADS; threads++) {
		baselines(threads);
		back();
		reset(VFRT_RESET_WAY_MOVE_PAGES, threads);
		if (module >= 0) {
			back();
			reset(VFRT_RESET_WAY_MODULE, threads);
		}
		if (call) {
			back();
			reset(VFRT_RESET_WAY_NEXT_TOUCH, threads);
		}
	}
	return 0;
}
