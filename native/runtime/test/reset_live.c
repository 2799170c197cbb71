/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reset_live TIMES WAY [NUMBER]: every kind of memory, on the kernel that runs
 * this, with two nodes or more.  TIMES times in this one process the last node
 * leaves and arrives again, and after each the kernel is asked where every page
 * is.  WAY is move_pages, module, or "next touch": then a thread on each node
 * touches its block after each reset.  NUMBER is that of the system call, where
 * no module tells it.
 * Prints one line for each kind; status 1 where a page isn't where it belongs,
 * or where another way was taken, 77 where there is one node.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "reset_maps.h"
#include "virtflex/machine.h"
#include "virtflex/page.h"
#include "virtflex/reset.h"

#define BYTES ((size_t)512 << 10)
#define EXTENT ((size_t)2 << 20)
#define HUGE_BYTES (4 * EXTENT)
#define PAGES (HUGE_BYTES / 4096) /* at most, of a kind */
#define HELPERS 1 /* threads, besides the main one */
#define SMALL ((size_t)64 << 10)

enum { PREFERRED = 1, BIND = 2, INTERLEAVE = 3 }; /* <linux/mempolicy.h> */

static unsigned nodes;
static int module = -1;
static uint32_t call; /* migrate_next_touch() */

static void *map(size_t bytes, int flags, int fd)
{
	char *memory = mmap(NULL, bytes + 2 * EXTENT, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(memory != MAP_FAILED);
	memory += EXTENT - (size_t)memory % EXTENT;
	return mmap(memory, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
}

static char *anonymous(void)
{
	char *memory = map(BYTES, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	CHECK(memory != MAP_FAILED);
	madvise(memory, BYTES, MADV_NOHUGEPAGE);
	return memory;
}

static char *with_policy(int mode, unsigned long set)
{
	char *memory = anonymous();

	CHECK(syscall(SYS_mbind, memory, BYTES, mode, &set, nodes + 1, 0) == 0);
	return memory;
}

static char *make_anonymous(void)
{
	return anonymous();
}

static char *make_thp(void)
{
	char *memory = map(HUGE_BYTES, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	CHECK(memory != MAP_FAILED && madvise(memory, HUGE_BYTES, MADV_HUGEPAGE) == 0);
	return memory;
}

static char *make_shared(void)
{
	char *memory = map(BYTES, MAP_SHARED | MAP_ANONYMOUS, -1);

	CHECK(memory != MAP_FAILED);
	return memory;
}

static char *make_shmem(void)
{
	int fd = memfd_create("reset", MFD_CLOEXEC);
	char *memory;

	CHECK(fd >= 0 && ftruncate(fd, (off_t)BYTES) == 0);
	memory = map(BYTES, MAP_SHARED, fd);
	CHECK(memory != MAP_FAILED);
	close(fd);
	return memory;
}

static char *make_private_file(void)
{
	int fd = memfd_create("reset", MFD_CLOEXEC);
	char *memory;

	CHECK(fd >= 0 && ftruncate(fd, (off_t)BYTES) == 0);
	memory = map(BYTES, MAP_PRIVATE, fd);
	CHECK(memory != MAP_FAILED);
	close(fd);
	return memory;
}

static char *in_heap(void *(*allocate)(size_t))
{
	char *memory = allocate(BYTES + EXTENT);

	CHECK(memory);
	memory += 4096 - (size_t)memory % 4096;
	madvise(memory, BYTES, MADV_NOHUGEPAGE);
	return memory;
}

static char *make_heap(void)
{
	return in_heap(malloc);
}

/* NULL where there is no such library. */
static char *make_jemalloc(void)
{
	void *library = dlopen("libjemalloc.so.2", RTLD_NOW | RTLD_LOCAL);
	void *(*allocate)(size_t);

	if (!library)
		return NULL;
	*(void **)&allocate = dlsym(library, "malloc");
	CHECK(allocate);
	return in_heap(allocate);
}

/* Pages of its own that this process writes after a fork: the child, which lives
 * as long, has those that were there. */
static char *make_forked(void)
{
	char *memory = anonymous();

	memset(memory, 1, BYTES);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return memory;
}

static char *make_locked(void)
{
	char *memory = anonymous();

	CHECK(mlock(memory, BYTES) == 0);
	return memory;
}

static char *make_bound(void)
{
	return with_policy(BIND, 1ul << (nodes - 1) | 1);
}

static char *make_preferred(void)
{
	return with_policy(PREFERRED, 1ul << (nodes - 1));
}

static char *make_interleaved(void)
{
	return with_policy(INTERLEAVE, (1ul << nodes) - 1);
}

/* NULL where the machine reserves no huge page. */
static char *make_hugetlb(void)
{
	char *memory = map(HUGE_BYTES, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Below what this function uses; its callees are never so deep. */
static char *make_stack(void)
{
	char *end = __builtin_frame_address(0);

	end -= (size_t)end % 4096 + (128 << 10) + SMALL;
	return end;
}

enum belongs { DEALT, STAYS, INTERLEAVED, ON_LAST, ANYWHERE };

static struct kind {
	const char *name;
	char *(*make)(void);
	enum belongs arrived; /* when the last node is back */
	size_t bytes, step;
	char *memory;
} kinds[] = {
	/* The child has nothing of the others. */
	{ "after fork", make_forked, DEALT, BYTES, 4096, NULL },
	{ "anonymous", make_anonymous, DEALT, BYTES, 4096, NULL },
	{ "thp", make_thp, DEALT, HUGE_BYTES, 4096, NULL },
	{ "shared", make_shared, DEALT, BYTES, 4096, NULL },
	{ "shmem", make_shmem, DEALT, BYTES, 4096, NULL },
	{ "file-private", make_private_file, DEALT, BYTES, 4096, NULL },
	{ "heap", make_heap, DEALT, BYTES, 4096, NULL },
	{ "jemalloc", make_jemalloc, DEALT, BYTES, 4096, NULL },
	{ "mlocked", make_locked, DEALT, BYTES, 4096, NULL },
	{ "bound", make_bound, STAYS, BYTES, 4096, NULL },
	{ "preferred", make_preferred, ON_LAST, BYTES, 4096, NULL },
	{ "interleaved", make_interleaved, INTERLEAVED, BYTES, 4096, NULL },
	{ "hugetlb", make_hugetlb, ANYWHERE, HUGE_BYTES, EXTENT, NULL },
	{ "stack", make_stack, STAYS, SMALL, 4096, NULL },
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* Where the pages are, and the value that was written to each. */
static void ask(const struct kind *kind, int *on)
{
	size_t count = kind->bytes / kind->step;
	void *page[PAGES];

	for (size_t i = 0; i < count; i++) {
		page[i] = kind->memory + i * kind->step;
		CHECK(*(volatile unsigned char *)page[i] == (unsigned char)(i * 7 + 1));
	}
	CHECK(syscall(SYS_move_pages, 0, count, page, NULL, on, 0) == 0);
}

static void fill(const struct kind *kind)
{
	for (size_t i = 0; i < kind->bytes / kind->step; i++)
		*(volatile unsigned char *)(kind->memory + i * kind->step) =
			(unsigned char)(i * 7 + 1);
}

static void put_on(const struct kind *kind, int node)
{
	size_t count = kind->bytes / kind->step;
	int where[PAGES], status[PAGES];
	void *page[PAGES];

	for (size_t i = 0; i < count; i++) {
		page[i] = kind->memory + i * kind->step;
		where[i] = node;
	}
	for (int tries = 0; tries < 3; tries++)
		syscall(SYS_move_pages, 0, count, page, where, status, 2);
}

static size_t count_on(const struct kind *kind, const int *on, unsigned node)
{
	size_t found = 0;

	for (size_t i = 0; i < kind->bytes / kind->step; i++)
		found += on[i] == (int)node;
	return found;
}

static bool all_left(const struct kind *kind)
{
	int on[PAGES];

	ask(kind, on);
	for (size_t i = 0; i < kind->bytes / kind->step; i++)
		if (on[i] < 0 || on[i] >= (int)nodes - 1)
			return false;
	/* Over all of the set that remains. */
	if (kind->arrived == INTERLEAVED)
		for (unsigned node = 0; node < nodes - 1; node++)
			if (count_on(kind, on, node) < kind->bytes / 4096 / (nodes - 1))
				return false;
	if (kind->make == make_bound)
		return count_on(kind, on, 0) == kind->bytes / 4096;
	return true;
}

/* At least 95 % of each block are on their node. */
static bool is_dealt(const struct kind *kind, const int *on)
{
	size_t count = kind->bytes / kind->step, right = 0;

	for (size_t i = 0; i < count; i++)
		right += on[i] == (int)(i * nodes / count);
	return right * 100 >= count * 95;
}

static bool all_placed(const struct kind *kind, const int *before)
{
	size_t count = kind->bytes / kind->step;
	int on[PAGES];

	ask(kind, on);
	switch (kind->arrived) {
	case DEALT:
		return is_dealt(kind, on);
	case STAYS:
		return memcmp(on, before, count * sizeof *on) == 0;
	case ON_LAST:
		return count_on(kind, on, nodes - 1) == count;
	case INTERLEAVED:
		for (unsigned node = 0; node < nodes; node++)
			if (count_on(kind, on, node) != count / nodes)
				return false;
		return true;
	case ANYWHERE:
		break;
	}
	return true;
}

static void run_on(unsigned node)
{
	struct vfrt_cpus cpus = vfrt_machine_node_cpus(vfrt_reset_kernel.sysfs, node);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(vfrt_cpus_next(&cpus, 0), &set);
	CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
}

struct block {
	unsigned node, of;
	pthread_t thread;
};

static void *touch_block(void *argument)
{
	const struct block *block = argument;

	run_on(block->node);
	for (size_t k = 0; k < KINDS; k++) {
		size_t pages = kinds[k].bytes / kinds[k].step;

		if (kinds[k].arrived != DEALT || !kinds[k].memory)
			continue;
		for (size_t i = pages * block->node / block->of;
		     i < pages * (block->node + 1) / block->of; i++)
			(void)*(volatile char *)(kinds[k].memory + i * kinds[k].step);
	}
	return NULL;
}

static void touch_blocks(unsigned of)
{
	struct block block[VIRTFLEX_MAX_NODES];

	for (unsigned i = 0; i < of; i++) {
		block[i] = (struct block){ .node = i, .of = of };
		CHECK(pthread_create(&block[i].thread, NULL, touch_block, &block[i]) == 0);
	}
	for (unsigned i = 0; i < of; i++)
		CHECK(pthread_join(block[i].thread, NULL) == 0);
}

static void *help(void *reset)
{
	vfrt_reset_work(reset);
	return NULL;
}

static struct vfrt_reset_result run(unsigned usable)
{
	struct vfrt_reset_request request = {
		.mode = VFRT_RESET_SPREAD,
		.nodes = (UINT64_C(1) << usable) - 1,
		.call = call,
		.module = module,
	};
	struct vfrt_reset_result result;
	struct vfrt_reset *reset;
	pthread_t thread[HELPERS];

	memset(request.distance, 10, sizeof request.distance);
	request.blocks = usable;
	for (unsigned i = 0; i < usable; i++)
		request.block[i] = (uint8_t)i;
	CHECK(vfrt_reset_begin(&reset, &request, &vfrt_reset_kernel) == 0);
	for (int i = 0; i < HELPERS; i++)
		CHECK(pthread_create(&thread[i], NULL, help, reset) == 0);
	vfrt_reset_work(reset);
	for (int i = 0; i < HELPERS; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	vfrt_reset_done(reset, &result);
	vfrt_reset_end(reset);
	if (result.way == VFRT_RESET_WAY_NEXT_TOUCH)
		touch_blocks(usable);
	return result;
}

static void report(const char *when, const struct vfrt_reset_result *result)
{
	printf("%s by %s: marked %lu moved %lu; left shared %lu busy %lu memory %lu gone %lu policy %lu refused %lu\n",
	       when, vfrt_reset_way_name(result->way), result->marked, result->moved,
	       result->left[VFRT_RESET_SHARED], result->left[VFRT_RESET_BUSY],
	       result->left[VFRT_RESET_NO_MEMORY], result->left[VFRT_RESET_GONE],
	       result->left[VFRT_RESET_POLICY], result->left[VFRT_RESET_REFUSED]);
}

static void choose(const char *way, const char *number)
{
	struct vfrt_mapping mapping;

	if (strcmp(way, "move_pages") == 0)
		return;
	if (strcmp(way, "next touch") == 0 && number) {
		call = (uint32_t)atoi(number);
		return;
	}
	CHECK(vfrt_map(&mapping, VIRTFLEX_TOPOLOGY_PROC) == 0);
	module = mapping.file.fd;
	if (strcmp(way, "next touch") == 0)
		call = mapping.page->reset_call;
}

int main(int argc, char **argv)
{
	int times = argc > 2 ? atoi(argv[1]) : 0, failures = 0;
	static int before[KINDS][PAGES];
	unsigned left[KINDS] = { 0 }, placed[KINDS] = { 0 };

	CHECK(times > 0);
	choose(argv[2], argv[3]);
	nodes = (unsigned)__builtin_popcountll(vfrt_reset_memory_nodes(vfrt_reset_kernel.sysfs));
	if (nodes < 2) {
		puts("one node");
		return 77;
	}
	run_on(0);
	for (size_t k = 0; k < KINDS; k++) {
		kinds[k].memory = kinds[k].make();
		if (kinds[k].memory)
			fill(&kinds[k]);
	}
	for (int i = 0; i < times; i++) {
		struct vfrt_reset_result result;

		for (size_t k = 0; k < KINDS; k++)
			if (kinds[k].memory)
				put_on(&kinds[k], (int)nodes - 1);
		result = run(nodes - 1);
		failures += strcmp(vfrt_reset_way_name(result.way), argv[2]) != 0;
		if (i == 0)
			report("leaves", &result);
		for (size_t k = 0; k < KINDS; k++)
			if (kinds[k].memory) {
				left[k] += all_left(&kinds[k]);
				ask(&kinds[k], before[k]);
			}
		result = run(nodes);
		if (i == 0)
			report("arrives", &result);
		for (size_t k = 0; k < KINDS; k++)
			if (kinds[k].memory)
				placed[k] += all_placed(&kinds[k], before[k]);
	}
	for (size_t k = 0; k < KINDS; k++) {
		if (!kinds[k].memory) {
			printf("%s none\n", kinds[k].name);
			continue;
		}
		printf("%s left %u placed %u of %d\n", kinds[k].name, left[k], placed[k], times);
		failures += left[k] != (unsigned)times || placed[k] != (unsigned)times;
	}
	return failures > 0;
}
