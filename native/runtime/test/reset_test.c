/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "fake.h"
#include "fake_memory.h"
#include "reset_maps.h"

#define MIB ((uintptr_t)1 << 20)
#define PAGES(bytes) ((bytes) / 4096)
#define NODES(list) vfrt_nodes_parse(list)

static struct vfrt_reset_request ask(enum vfrt_reset_mode mode, uint64_t nodes, unsigned blocks)
{
	struct vfrt_reset_request request = {
		.mode = mode, .nodes = nodes, .blocks = blocks, .module = -1
	};

	for (unsigned i = 0; i < VIRTFLEX_MAX_NODES; i++)
		for (unsigned k = 0; k < VIRTFLEX_MAX_NODES; k++)
			request.distance[i][k] = i == k ? 10 : 20;
	for (unsigned i = 0; i < blocks; i++)
		request.block[i] = (uint8_t)i;
	return request;
}

static struct vfrt_reset_result reset(struct vfrt_reset_request request)
{
	struct vfrt_reset_result result;
	struct vfrt_reset *begun;

	fake_memory_publish();
	CHECK(vfrt_reset_begin(&begun, &request, fake_kernel) == 0);
	vfrt_reset_work(begun);
	vfrt_reset_done(begun, &result);
	vfrt_reset_end(begun);
	return result;
}

static uint64_t left(const struct vfrt_reset_result *result)
{
	uint64_t sum = 0;

	for (int i = 0; i < VFRT_RESET_REASONS; i++)
		sum += result->left[i];
	return sum;
}

static void lines_of_numa_maps(void)
{
	struct vfrt_region region;

	CHECK(vfrt_region_parse(&region, "7f00 bind:1,3 anon=3 dirty=3 N1=1 N3=2 kernelpagesize_kB=4\n"));
	CHECK(region.start == 0x7f00 && region.policy == VFRT_POLICY_BIND &&
	      region.policy_nodes == 0xa && region.nodes == 0xa && region.pages == 3);
	CHECK(vfrt_region_parse(&region, "7f00 interleave=static:0-3 N0=1 kernelpagesize_kB=2048 huge\n"));
	CHECK(region.policy == VFRT_POLICY_INTERLEAVE && region.policy_nodes == 0xf &&
	      region.page_size == 2 * MIB);
	CHECK(vfrt_region_parse(&region, "7f00 prefer (many):0,2 N0=1\n"));
	CHECK(region.policy == VFRT_POLICY_PREFERRED_MANY && region.policy_nodes == 5);
	CHECK(vfrt_region_parse(&region, "7f00 prefer=relative:2 N0=1\n"));
	CHECK(region.policy == VFRT_POLICY_PREFERRED && region.policy_nodes == 4);
	CHECK(vfrt_region_parse(&region, "7f00 default stack anon=2 N0=2\n"));
	CHECK(region.policy == VFRT_POLICY_DEFAULT && region.stack);
	CHECK(vfrt_region_parse(&region, "7f00 local file=/N9=1/Nx N2=7\n"));
	CHECK(region.policy == VFRT_POLICY_DEFAULT && region.pages == 7);
	CHECK(vfrt_region_parse(&region, "7f00 weighted:0-1 N64=7 N99999=1\n") && region.pages == 0);
	CHECK(!vfrt_region_parse(&region, "") && !vfrt_region_parse(&region, "zz\n"));
}

/* All leave, evenly to the others; small pages and THPs. */
static void leaves(bool thp)
{
	struct vfrt_reset_result result;

	fake_memory_clear();
	fake_memory_map(0, 64 * MIB, "default", 3, thp, "");
	fake_memory_map(80 * MIB, 4 * MIB, "default", 1, thp, "");
	result = reset(ask(VFRT_RESET_LEAVE, NODES("0-2"), 0));
	CHECK(result.way == VFRT_RESET_WAY_MOVE_PAGES && result.marked == 0);
	CHECK(result.moved == PAGES(64 * MIB) && left(&result) == 0);
	CHECK(fake_memory_on(0, FAKE_BYTES, 3) == 0);
	CHECK(fake_memory_on(80 * MIB, 4 * MIB, 1) == PAGES(4 * MIB));
	for (int node = 0; node < 3; node++)
		CHECK(fake_memory_on(0, 64 * MIB, node) > PAGES(14 * MIB));
	/* And again: nothing to do. */
	fake_memory.calls = 0;
	result = reset(ask(VFRT_RESET_LEAVE, NODES("0-2"), 0));
	CHECK(result.moved == 0 && left(&result) == 0 && fake_memory.calls == 0);
}

static void prefers_what_is_near_and_free(void)
{
	struct vfrt_reset_request request = ask(VFRT_RESET_LEAVE, NODES("0-2"), 0);

	fake_memory_clear();
	fake_memory_map(0, 64 * MIB, "default", 3, false, "");
	request.distance[3][1] = 100;
	fake_memory.room[2] = PAGES(32 * MIB);
	reset(request);
	CHECK(fake_memory_on(0, 64 * MIB, 3) == 0);
	CHECK(fake_memory_on(0, 64 * MIB, 0) > 2 * fake_memory_on(0, 64 * MIB, 1));
	CHECK(fake_memory_on(0, 64 * MIB, 0) > 2 * fake_memory_on(0, 64 * MIB, 2));
}

/* Each quarter on its node, THPs whole. */
static void arrives(bool thp, unsigned blocks)
{
	struct vfrt_reset_result result;
	uintptr_t bytes = 64 * MIB / blocks;

	fake_memory_clear();
	fake_memory_map(4 * MIB, 64 * MIB, "default", 0, thp, "");
	fake_memory_map(80 * MIB, 4 * MIB, "default", 0, thp, " stack");
	fake_memory_map(88 * MIB, 40960, "default", 0, false, "");
	result = reset(ask(VFRT_RESET_SPREAD, NODES("0-3"), blocks));
	CHECK(left(&result) == 0);
	for (unsigned i = 0; i < blocks; i++)
		CHECK(fake_memory_on(4 * MIB + i * bytes, bytes, (int)i) * 100 >=
		      PAGES(bytes) * 95);
	CHECK(fake_memory_on(80 * MIB, 4 * MIB, 0) == PAGES(4 * MIB));
	CHECK(fake_memory_on(88 * MIB, 40960, 0) == 10);
}

/* Three arrays that are one mapping, first touched by a team on two nodes, a few
 * pages of them elsewhere: each is dealt by itself, there and back. */
static void tells_arrays_apart(void)
{
	static const uintptr_t size[] = { 16 * MIB, 8 * MIB, 12 * MIB };
	uintptr_t start[] = { 0, 16 * MIB, 24 * MIB };

	fake_memory_clear();
	fake_memory_map(0, 36 * MIB, "default", 0, false, "");
	for (unsigned i = 0; i < 3; i++)
		for (uintptr_t page = 0; page < PAGES(size[i]); page++)
			fake_memory.page[PAGES(start[i]) + page].node =
				page % 100 < 3 ? 3 : page >= PAGES(size[i]) / 2;
	for (unsigned turn = 0; turn < 3; turn++) {
		unsigned blocks = turn == 1 ? 2 : 4;

		reset(ask(VFRT_RESET_SPREAD, blocks == 2 ? NODES("0-1") : NODES("0-3"), blocks));
		for (unsigned i = 0; i < 3; i++)
			for (unsigned block = 0; block < blocks; block++) {
				uintptr_t bytes = size[i] / blocks;

				CHECK(fake_memory_on(start[i] + block * bytes, bytes, (int)block) *
					      100 >= PAGES(bytes) * 98);
			}
	}
}

static void keeps_policies(void)
{
	struct vfrt_reset_result result;

	fake_memory_clear();
	fake_memory_map(0, 4 * MIB, "interleave:0-3", 3, false, "");
	fake_memory_map(8 * MIB, 4 * MIB, "bind:2-3", 3, false, "");
	fake_memory_map(16 * MIB, 4 * MIB, "bind:3", 3, false, "");
	fake_memory_map(24 * MIB, 4 * MIB, "prefer:3", 3, false, "");
	fake_memory_map(32 * MIB, 4 * MIB, "prefer:1", 0, false, "");
	fake_memory_map(40 * MIB, 4 * MIB, "prefer (many):1-3", 3, false, "");
	result = reset(ask(VFRT_RESET_LEAVE, NODES("0-2"), 0));
	for (int node = 0; node < 3; node++)
		CHECK(fake_memory_on(0, 4 * MIB, node) >= PAGES(4 * MIB) / 3);
	CHECK(fake_memory_on(8 * MIB, 4 * MIB, 2) == 1024);
	CHECK(fake_memory_on(16 * MIB, 4 * MIB, 3) == 1024);
	CHECK(fake_memory_on(24 * MIB, 4 * MIB, 3) == 0);
	CHECK(fake_memory_on(32 * MIB, 4 * MIB, 1) == 1024);
	CHECK(fake_memory_on(40 * MIB, 4 * MIB, 1) + fake_memory_on(40 * MIB, 4 * MIB, 2) == 1024);
	CHECK(result.left[VFRT_RESET_POLICY] == 1024 && left(&result) == 1024);
	/* Node 3 is back. */
	result = reset(ask(VFRT_RESET_SPREAD, NODES("0-3"), 4));
	CHECK(fake_memory_on(0, 4 * MIB, 3) == 256);
	CHECK(fake_memory_on(8 * MIB, 4 * MIB, 2) == 1024);
	CHECK(fake_memory_on(24 * MIB, 4 * MIB, 3) == 1024);
	CHECK(left(&result) == 0);
}

/* Four THPs a node: those of an interleaved mapping stay whole. */
static void interleaves_thps(void)
{
	fake_memory_clear();
	fake_memory_map(0, 32 * MIB, "interleave:0-3", 0, true, "");
	reset(ask(VFRT_RESET_SPREAD, NODES("0-3"), 4));
	for (int node = 0; node < 4; node++)
		CHECK(fake_memory_on(0, 32 * MIB, node) == PAGES(8 * MIB));
}

static void says_what_stays(void)
{
	struct vfrt_reset_result result;

	fake_memory_clear();
	fake_memory_map(0, 16 * MIB, "default", 3, false, "");
	for (unsigned i = 0; i < 10; i++) {
		fake_memory.page[400 * i].pinned = true;
		fake_memory.page[400 * i + 7].shared = true;
	}
	result = reset(ask(VFRT_RESET_LEAVE, NODES("0-2"), 0));
	CHECK(result.left[VFRT_RESET_SHARED] == 10);
	/* The pinned ones, and not more than a small call's others each. */
	CHECK(result.left[VFRT_RESET_BUSY] >= 10 && result.left[VFRT_RESET_BUSY] <= 160);
	CHECK(result.moved + left(&result) == PAGES(16 * MIB));

	fake_memory_clear();
	fake_memory_map(0, 16 * MIB, "default", 3, true, "");
	fake_memory.room[0] = fake_memory.room[1] = 0;
	fake_memory.room[2] = 1024;
	result = reset(ask(VFRT_RESET_LEAVE, NODES("0-2"), 0));
	CHECK(result.moved == 1024 && fake_memory_on(0, 16 * MIB, 2) == 1024);
	CHECK(result.left[VFRT_RESET_NO_MEMORY] == 3072);

	fake_memory_clear();
	fake_memory_map(0, 16 * MIB, "default", 3, false, "");
	fake_memory.refuse_all = EPERM;
	result = reset(ask(VFRT_RESET_LEAVE, NODES("0-2"), 0));
	CHECK(result.moved == 0 && result.left[VFRT_RESET_REFUSED] == 4096);
}

/* Marked by NUMA balancing, and so for move_pages not there. */
static void finds_marked_pages(void)
{
	fake_memory_clear();
	fake_memory_map(0, 16 * MIB, "default", 3, false, "");
	for (unsigned i = 0; i < 4096; i += 3)
		fake_memory.page[i].marked = true;
	CHECK(reset(ask(VFRT_RESET_LEAVE, NODES("0-2"), 0)).moved == 4096);
}

static void skips_holes(void)
{
	struct vfrt_reset_result result;

	fake_memory_clear();
	fake_memory_map(0, 48 * MIB, "default", FAKE_ABSENT, false, "");
	for (unsigned i = 0; i < PAGES(48 * MIB); i += 1000)
		fake_memory.page[i].node = 3;
	result = reset(ask(VFRT_RESET_LEAVE, NODES("0-2"), 0));
	CHECK(result.moved == 13 && left(&result) == 0);
	CHECK(fake_memory_on(0, 48 * MIB, 3) == 0);
}

/* Nothing is moved that will be moved by its next touch. */
static void by_next_touch(void)
{
	struct vfrt_reset_request request = ask(VFRT_RESET_LEAVE, NODES("0-2"), 0);
	struct vfrt_reset_result result;

	request.call = FAKE_CALL;
	request.module = FAKE_MODULE;
	fake_memory_clear();
	fake_memory_map(0, 4 * MIB, "default", 3, false, "");
	fake_memory_map(8 * MIB, 4 * MIB, "bind:2-3", 3, false, "");
	result = reset(request);
	CHECK(result.way == VFRT_RESET_WAY_NEXT_TOUCH && result.marked == 11 && result.moved == 12);
	CHECK(fake_memory.next_touch_nodes == NODES("0-2"));
	CHECK(left(&result) == 0 && fake_memory.calls + fake_memory.small_calls == 0);
	/* What the kernel had to move, and could not, is tried again. */
	fake_memory.next_touch_left = 1;
	result = reset(request);
	CHECK(result.way == VFRT_RESET_WAY_NEXT_TOUCH && result.moved == 12 + 1024);
	CHECK(fake_memory_on(0, 4 * MIB, 3) == 1024 && fake_memory_on(8 * MIB, 4 * MIB, 2) == 1024);
	/* A seccomp filter. */
	fake_memory.no_next_touch = EPERM;
	result = reset(request);
	CHECK(result.way == VFRT_RESET_WAY_MODULE && result.marked == 0 && result.moved == 1024);
}

static void by_module(void)
{
	struct vfrt_reset_request request = ask(VFRT_RESET_LEAVE, NODES("0-2"), 0);
	struct vfrt_reset_result result;

	request.module = FAKE_MODULE;
	fake_memory_clear();
	fake_memory_map(0, 32 * MIB, "default", 3, false, "");
	fake_memory_map(40 * MIB, 4 * MIB, "default", 3, true, "");
	for (unsigned i = 100; i < 200; i++)
		fake_memory.page[i].foreign = true;
	fake_memory.page[300].pinned = true;
	result = reset(request);
	CHECK(result.way == VFRT_RESET_WAY_MODULE && fake_memory.small_calls > 0);
	CHECK(result.moved == PAGES(36 * MIB) - 1 && result.left[VFRT_RESET_BUSY] == 1);
	CHECK(left(&result) == 1 && fake_memory_on(0, FAKE_BYTES, 3) == 1);
	/* The module went away. */
	fake_memory_clear();
	fake_memory_map(0, 32 * MIB, "default", 3, false, "");
	fake_memory.no_module = ENOTTY;
	result = reset(request);
	CHECK(result.moved == PAGES(32 * MIB) && left(&result) == 0);
}

static void without_files(void)
{
	struct vfrt_reset_request request = ask(VFRT_RESET_LEAVE, 1, 0);
	struct vfrt_reset_kernel kernel = *fake_kernel;
	struct vfrt_reset *begun;

	kernel.proc = "/nowhere";
	CHECK(vfrt_reset_begin(&begun, &request, &kernel) == -ENOENT);
	CHECK(vfrt_reset_memory_nodes("/nowhere") == 0);
	CHECK(vfrt_reset_memory_nodes(fake_kernel->sysfs) == 0xf);
}

static void *help(void *begun)
{
	vfrt_reset_work(begun);
	return NULL;
}

/* A thread's stack that the kernel merged with the array above it. */
static void keeps_a_merged_stack(void)
{
	struct vfrt_reset_request request = ask(VFRT_RESET_SPREAD, NODES("0-3"), 4);
	struct vfrt_reset_result result;
	struct vfrt_reset *begun;
	pthread_attr_t attributes;
	pthread_t thread;
	void *stack = mmap((void *)FAKE_BASE, 4 * MIB, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	CHECK(stack == (void *)FAKE_BASE);
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstack(&attributes, stack, 4 * MIB) == 0);
	fake_memory_clear();
	fake_memory_map(0, 36 * MIB, "default", 3, false, "");
	for (uintptr_t page = 0; page < PAGES(4 * MIB) - 8; page++)
		fake_memory.page[page].node = FAKE_ABSENT;
	fake_memory_publish();
	CHECK(vfrt_reset_begin(&begun, &request, fake_kernel) == 0);
	CHECK(pthread_create(&thread, &attributes, help, begun) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	vfrt_reset_done(begun, &result);
	vfrt_reset_end(begun);
	CHECK(fake_memory_on(0, 4 * MIB, 3) == 8);
	for (unsigned i = 0; i < 4; i++)
		CHECK(fake_memory_on(4 * MIB + i * 8 * MIB, 8 * MIB, (int)i) * 100 >=
		      PAGES(8 * MIB) * 99);
	pthread_attr_destroy(&attributes);
	munmap(stack, 4 * MIB);
}

static void in_parallel(void)
{
	struct vfrt_reset_request request = ask(VFRT_RESET_LEAVE, NODES("0-2"), 0);
	struct vfrt_reset_result result;
	struct vfrt_reset *begun;
	pthread_t thread[4];

	fake_memory_clear();
	for (unsigned i = 0; i < 8; i++)
		fake_memory_map(i * 12 * MIB, 11 * MIB, "default", 3, false, "");
	fake_memory_publish();
	CHECK(vfrt_reset_begin(&begun, &request, fake_kernel) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&thread[i], NULL, help, begun) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	vfrt_reset_done(begun, &result);
	vfrt_reset_end(begun);
	CHECK(result.moved == PAGES(88 * MIB) && left(&result) == 0);
}

/* The pieces that something stayed in, and no others. */
static void tries_again(void)
{
	struct vfrt_reset_request request = ask(VFRT_RESET_LEAVE, NODES("0-2"), 0);
	struct vfrt_reset_result result;
	struct vfrt_reset *begun;

	fake_memory_clear();
	fake_memory_map(0, 48 * MIB, "default", 3, false, "");
	fake_memory_map(64 * MIB, 16 * MIB, "default", 3, false, "");
	fake_memory.page[PAGES(20 * MIB)].pinned = true;
	fake_memory.page[PAGES(70 * MIB)].pinned = true;
	fake_memory.page[PAGES(40 * MIB)].shared = true;
	fake_memory_publish();
	CHECK(vfrt_reset_begin(&begun, &request, fake_kernel) == 0);
	vfrt_reset_work(begun);
	CHECK(vfrt_reset_done(begun, &result));
	CHECK(result.left[VFRT_RESET_BUSY] >= 2 && result.left[VFRT_RESET_SHARED] == 1);

	/* One is free now, and something else is there. */
	fake_memory.page[PAGES(20 * MIB)].pinned = false;
	fake_memory.page[PAGES(4 * MIB)].node = 3;
	fake_memory_publish();
	CHECK(vfrt_reset_again(begun, -1) == 0);
	vfrt_reset_work(begun);
	CHECK(vfrt_reset_done(begun, &result));
	CHECK(fake_memory_on(16 * MIB, 16 * MIB, 3) == 0 && fake_memory_on(0, 16 * MIB, 3) == 1);
	CHECK(result.way == VFRT_RESET_WAY_MOVE_PAGES && result.moved >= 1);
	CHECK(result.left[VFRT_RESET_BUSY] >= 1 && left(&result) == result.left[VFRT_RESET_BUSY]);

	/* Unmapped. */
	for (size_t i = PAGES(64 * MIB); i < PAGES(80 * MIB); i++)
		fake_memory.page[i].node = FAKE_ABSENT;
	fake_memory_publish();
	CHECK(vfrt_reset_again(begun, -1) == 0);
	vfrt_reset_work(begun);
	CHECK(!vfrt_reset_done(begun, &result) && result.moved == 0 && left(&result) == 0);
	CHECK(vfrt_reset_again(begun, -1) == -ENOENT);
	vfrt_reset_end(begun);
}

/* What is mapped there at the next try decides whether there is one. */
static uint64_t left_after_another(uintptr_t bytes, const char *policy)
{
	struct vfrt_reset_request request = ask(VFRT_RESET_LEAVE, NODES("0-2"), 0);
	struct vfrt_reset_result result;
	struct vfrt_reset *begun;

	fake_memory_clear();
	fake_memory_map(0, 16 * MIB, "default", 3, false, "");
	fake_memory.page[9].pinned = true;
	fake_memory_publish();
	CHECK(vfrt_reset_begin(&begun, &request, fake_kernel) == 0);
	vfrt_reset_work(begun);
	CHECK(vfrt_reset_done(begun, &result));
	fake_memory_clear();
	fake_memory_map(0, bytes, policy, 3, false, "");
	fake_memory_publish();
	CHECK(vfrt_reset_again(begun, -1) == 0);
	vfrt_reset_work(begun);
	CHECK(!vfrt_reset_done(begun, &result));
	vfrt_reset_end(begun);
	return fake_memory_on(0, 16 * MIB, 3);
}

static void leaves_other_mappings_alone(void)
{
	CHECK(left_after_another(16 * MIB, "default") == 0);
	CHECK(left_after_another(32 * MIB, "default") == 0);
	CHECK(left_after_another(8 * MIB, "default") == PAGES(8 * MIB));
	CHECK(left_after_another(16 * MIB, "bind:3") == PAGES(16 * MIB));
}

/* Each page of an array still goes to its block, not to where there is room. */
static void arrives_later(void)
{
	struct vfrt_reset_request request = ask(VFRT_RESET_SPREAD, NODES("0-3"), 4);
	struct vfrt_reset_result result;
	struct vfrt_reset *begun;

	fake_memory_clear();
	fake_memory_map(0, 64 * MIB, "default", 0, false, "");
	fake_memory.room[3] = PAGES(4 * MIB);
	fake_memory_publish();
	CHECK(vfrt_reset_begin(&begun, &request, fake_kernel) == 0);
	vfrt_reset_work(begun);
	CHECK(vfrt_reset_done(begun, &result));
	CHECK(result.left[VFRT_RESET_NO_MEMORY] >= PAGES(10 * MIB));
	CHECK(fake_memory_on(48 * MIB, 16 * MIB, 3) <= PAGES(4 * MIB));
	fake_memory.room[3] += PAGES(32 * MIB);
	fake_memory_publish();
	CHECK(vfrt_reset_again(begun, -1) == 0);
	vfrt_reset_work(begun);
	CHECK(!vfrt_reset_done(begun, &result) && left(&result) == 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(fake_memory_on(i * 16 * MIB, 16 * MIB, (int)i) == PAGES(16 * MIB));
	vfrt_reset_end(begun);
}

/* The system call is not made again. */
static void next_touch_again(void)
{
	struct vfrt_reset_request request = ask(VFRT_RESET_LEAVE, NODES("0-2"), 0);
	struct vfrt_reset_result result;
	struct vfrt_reset *begun;

	request.call = FAKE_CALL;
	fake_memory_clear();
	fake_memory_map(0, 4 * MIB, "default", 3, false, "");
	fake_memory_map(32 * MIB, 4 * MIB, "bind:2-3", 3, false, "");
	fake_memory.page[PAGES(32 * MIB)].pinned = true;
	fake_memory.next_touch_left = 1;
	fake_memory_publish();
	CHECK(vfrt_reset_begin(&begun, &request, fake_kernel) == 0);
	vfrt_reset_work(begun);
	CHECK(vfrt_reset_done(begun, &result) && result.marked == 11);
	fake_memory.page[PAGES(32 * MIB)].pinned = false;
	fake_memory.next_touch_nodes = 0;
	fake_memory_publish();
	CHECK(vfrt_reset_again(begun, -1) == 0);
	vfrt_reset_work(begun);
	CHECK(!vfrt_reset_done(begun, &result) && result.marked == 0);
	CHECK(result.way == VFRT_RESET_WAY_NEXT_TOUCH && fake_memory.next_touch_nodes == 0);
	CHECK(fake_memory_on(0, 4 * MIB, 3) == 1024 && fake_memory_on(32 * MIB, 4 * MIB, 2) == 1024);
	vfrt_reset_end(begun);
}

int main(void)
{
	lines_of_numa_maps();
	leaves(false);
	leaves(true);
	prefers_what_is_near_and_free();
	arrives(false, 4);
	arrives(true, 4);
	arrives(false, 3);
	tells_arrays_apart();
	keeps_policies();
	interleaves_thps();
	says_what_stays();
	finds_marked_pages();
	skips_holes();
	by_next_touch();
	by_module();
	without_files();
	keeps_a_merged_stack();
	in_parallel();
	tries_again();
	leaves_other_mappings_alone();
	arrives_later();
	next_touch_again();
	return 0;
}
