/* SPDX-License-Identifier: Apache-2.0 */
/* A team that meets new generations: one reset for each that changes where
 * memory may be, and none for any other. */
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "fake.h"
#include "fake_memory.h"
#include "reset_team.h"
#include "virtflex/runtime.h"

#define MIB ((uintptr_t)1 << 20)
#define TEAM 4
#define BYTES (32 * MIB)

static struct virtflex_topology_page page, *published;
static struct vfrt_cpus startup;

/* This machine's CPUs, the first half on node 0, the others on node 3, to page
 * and kernel alike. */
static void write_cpus(bool alike)
{
	unsigned count = vfrt_cpus_count(&startup), seen = 0;
	struct vfrt_cpus on[2] = { 0 };
	char list[2048];

	for (unsigned cpu = 0; cpu < VIRTFLEX_MAX_CPUS; cpu++) {
		page.cpu_node[cpu] = 0;
		if (!vfrt_cpus_has(&startup, cpu))
			continue;
		if (2 * seen++ >= count)
			page.cpu_node[cpu] = 3;
		vfrt_cpus_add(&on[page.cpu_node[cpu] == 3], cpu);
	}
	vfrt_cpus_format(&on[alike ? 0 : 1], list, sizeof list);
	fake_file("sys/devices/system/node/node0/cpulist", list, strlen(list));
	vfrt_cpus_format(&on[alike ? 1 : 0], list, sizeof list);
	fake_file("sys/devices/system/node/node3/cpulist", list, strlen(list));
	fake_file("sys/devices/system/node/node1/cpulist", "\n", 1);
	fake_file("sys/devices/system/node/node2/cpulist", "\n", 1);
}

static uint64_t publish(void)
{
	uint64_t seen;

	fake_publish(published, &page);
	vfrt_lock();
	seen = vfrt_refresh();
	vfrt_unlock();
	return seen;
}

static struct {
	uint64_t generation;
	unsigned threads;
} team;

static void *member(void *unused)
{
	(void)unused;
	vfrt_reset_memory(team.generation, team.threads, VFRT_BIND_FALSE);
	return NULL;
}

static void meet_by(uint64_t generation, unsigned threads)
{
	pthread_t thread[2 * TEAM];

	team.generation = generation;
	team.threads = threads;
	for (unsigned i = 0; i < threads; i++)
		CHECK(pthread_create(&thread[i], NULL, member, NULL) == 0);
	for (unsigned i = 0; i < threads; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
}

static void meet(uint64_t generation)
{
	meet_by(generation, TEAM);
}

/* Returns the number of system calls that it took. */
static unsigned long change(uint32_t flags)
{
	page.node[3].flags = VIRTFLEX_NODE_PRESENT | flags;
	fake_memory_publish();
	write_cpus(true);
	fake_memory.calls = 0;
	meet(publish());
	return fake_memory.calls;
}

/* Before a team is formed, after so many ms.  Returns the number of system calls. */
static unsigned long later(unsigned ms)
{
	fake_memory.now += (uint64_t)ms * 1000000;
	fake_memory_publish();
	write_cpus(true);
	fake_memory.calls = 0;
	if (vfrt_memory_left())
		vfrt_reset_memory_again();
	return fake_memory.calls;
}

/* What couldn't move, three times at most. */
static void tries_again(void)
{
	fake_memory_clear();
	fake_memory_map(0, BYTES, "default", 3, false, "");
	fake_memory.page[0].pinned = true;
	CHECK(!vfrt_memory_left());
	CHECK(change(VIRTFLEX_NODE_ONLINE | VIRTFLEX_NODE_EVACUATING) > 0);
	CHECK(fake_memory_on(0, BYTES, 3) >= 1 && vfrt_memory_left());
	CHECK(later(9) == 0 && later(1) > 0);
	/* Another generation, but the same nodes. */
	CHECK(change(0) == 0);
	fake_memory.page[0].pinned = false;
	CHECK(later(99) == 0 && later(1) > 0);
	CHECK(fake_memory_on(0, BYTES, 3) == 0 && !vfrt_memory_left());

	fake_memory.page[0].pinned = true;
	fake_memory.page[0].node = 3;
	CHECK(change(VIRTFLEX_NODE_ONLINE) > 0);
	fake_memory_map(0, BYTES, "default", 3, false, "");
	fake_memory.page[0].pinned = true;
	CHECK(change(0) > 0 && later(10) > 0 && later(100) > 0 && vfrt_memory_left());
	CHECK(later(1000) > 0 && !vfrt_memory_left() && later(10000) == 0);
	CHECK(fake_memory_on(0, BYTES, 3) >= 1);
}

/* When the node is back, and in a child, which has not moved anything. */
static void forgets(void)
{
	int status;

	CHECK(change(VIRTFLEX_NODE_ONLINE) > 0 && vfrt_memory_left());
	CHECK(change(0) > 0 && vfrt_memory_left());
	if (fork() == 0) {
		CHECK(!vfrt_memory_left());
		_exit(0);
	}
	CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	fake_memory.page[0].pinned = false;
	CHECK(change(VIRTFLEX_NODE_ONLINE) > 0 && !vfrt_memory_left());
}

static long move_and_fork(void *context, size_t count, void **pages, const int *node, int *status)
{
	static bool forked;
	int ended;

	if (!forked && (forked = true) && fork() == 0) {
		vfrt_reset_use(fake_kernel);
		vfrt_lock();
		CHECK(vfrt_refresh() == team.generation);
		vfrt_unlock();
		member(NULL);
		CHECK(fake_memory_on(0, BYTES, 3) == 0);
		_exit(0);
	}
	if (fake_memory.calls == 0)
		CHECK(wait(&ended) > 0 && WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
	return fake_kernel->move(context, count, pages, node, status);
}

/* While memory moves: the child's first team moves what is the child's. */
static void forks_meanwhile(void)
{
	struct vfrt_reset_kernel forking = *fake_kernel;

	forking.move = move_and_fork;
	fake_memory_clear();
	fake_memory_map(0, BYTES, "default", 3, false, "");
	CHECK(change(VIRTFLEX_NODE_ONLINE) == 0);
	page.node[3].flags |= VIRTFLEX_NODE_EVACUATING;
	write_cpus(true);
	fake_memory.calls = 0;
	team.generation = publish();
	team.threads = 1;
	vfrt_reset_use(&forking);
	member(NULL);
	vfrt_reset_use(fake_kernel);
	CHECK(fake_memory.calls > 0 && fake_memory_on(0, BYTES, 3) == 0);
	CHECK(change(VIRTFLEX_NODE_ONLINE) > 0);
}

int main(void)
{
	uint64_t met;
	unsigned cpus;
	char path[PATH_MAX];
	int status;

	page = fake_page(4, VIRTFLEX_MAX_CPUS);
	published = fake_publisher("page", &page);
	snprintf(path, sizeof path, "%s/page", fake_directory());
	CHECK(setenv(VIRTFLEX_TOPOLOGY_ENV, path, 1) == 0);
	CHECK(vfrt_start());
	startup = *vfrt_startup_cpus();
	cpus = vfrt_cpus_count(&startup);
	vfrt_reset_use(fake_kernel);
	fake_memory_clear();
	fake_memory_map(0, BYTES, "default", 3, false, "");

	/* As at the start. */
	CHECK(change(VIRTFLEX_NODE_ONLINE) == 0);
	/* Leaves. */
	CHECK(change(VIRTFLEX_NODE_ONLINE | VIRTFLEX_NODE_EVACUATING) > 0);
	CHECK(fake_memory_on(0, BYTES, 3) == 0);
	/* Has left. */
	CHECK(change(0) == 0);
	/* Memory alone. */
	page.node[0].memory_kib += 4096;
	CHECK(change(0) == 0);
	/* Only for its helpers: they find nothing to help with. */
	page.node[3].flags |= VIRTFLEX_NODE_ONLINE;
	vfrt_reset_memory(publish(), 0, VFRT_BIND_FALSE);
	/* Arrives: to each thread its block. */
	CHECK(change(VIRTFLEX_NODE_ONLINE) > 0);
	if (cpus > 1) {
		CHECK(fake_memory_on(0, BYTES / 2, 0) == BYTES / 2 / 4096);
		CHECK(fake_memory_on(BYTES / 2, BYTES / 2, 3) == BYTES / 2 / 4096);
	} else {
		CHECK(fake_memory_on(0, BYTES, 0) == BYTES / 4096);
	}

	/* Met within a region: the next team is larger, one like it or a smaller
	 * one has nothing to do. */
	CHECK(change(VIRTFLEX_NODE_ONLINE | VIRTFLEX_NODE_EVACUATING) > 0);
	page.node[3].flags = VIRTFLEX_NODE_PRESENT | VIRTFLEX_NODE_ONLINE;
	met = publish();
	meet_by(met, 1);
	CHECK(fake_memory_on(0, BYTES, 0) == BYTES / 4096);
	fake_memory.calls = 0;
	meet_by(met, 2 * TEAM);
	CHECK(fake_memory.calls > 0);
	CHECK(fake_memory_on(BYTES / 2, BYTES / 2, 3) == (cpus > 1 ? BYTES / 2 / 4096 : 0));
	fake_memory.calls = 0;
	meet_by(met, 2 * TEAM);
	meet_by(met, TEAM);
	CHECK(fake_memory.calls == 0);

	tries_again();
	forgets();
	forks_meanwhile();

	/* Of other nodes than the kernel's. */
	page.node[3].flags = VIRTFLEX_NODE_PRESENT;
	write_cpus(false);
	fake_memory.calls = 0;
	meet(publish());
	CHECK(fake_memory.calls == 0);

	/* A child of fork has a reset of its own. */
	if (fork() == 0) {
		CHECK(change(VIRTFLEX_NODE_ONLINE) > 0);
		_exit(0);
	}
	CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);

	/* A kernel with one node. */
	page.node[3].flags = VIRTFLEX_NODE_PRESENT | VIRTFLEX_NODE_ONLINE;
	fake_memory_publish();
	write_cpus(true);
	fake_file("sys/devices/system/node/has_memory", "0\n", 2);
	fake_memory.calls = 0;
	meet(publish());
	CHECK(fake_memory.calls == 0);
	vfrt_stop();
	return 0;
}
