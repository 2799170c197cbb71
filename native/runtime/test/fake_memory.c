/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_memory.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "fake.h"

#define EXTENT_PAGES 512
#define MAPPINGS 16

struct fake_memory fake_memory;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct mapping {
	uintptr_t offset, bytes;
	const char *policy, *more;
	bool thp;
} mapping[MAPPINGS];
static size_t mappings;
static char proc[PATH_MAX], sysfs[PATH_MAX];

static bool number_of(const void *address, size_t *number)
{
	uintptr_t offset = (uintptr_t)address - FAKE_BASE;

	*number = offset / 4096;
	return (uintptr_t)address >= FAKE_BASE && offset < FAKE_BYTES;
}

static int find(const void *address, size_t *number)
{
	if (!number_of(address, number))
		return -EFAULT;
	if (fake_memory.page[*number].node == FAKE_ABSENT || fake_memory.page[*number].marked)
		return -ENOENT;
	return fake_memory.page[*number].node;
}

/* Returns how many pages moved: 0 where the node is full or one is pinned. */
static unsigned move_one(size_t number, int node)
{
	unsigned count = fake_memory.page[number].thp ? EXTENT_PAGES : 1;
	size_t first = number / count * count;

	if (fake_memory.page[number].pinned || fake_memory.room[node] < count)
		return 0;
	fake_memory.room[node] -= count;
	fake_memory.room[fake_memory.page[number].node] += count;
	for (size_t i = first; i < first + count; i++)
		fake_memory.page[i].node = node;
	return count;
}

static long move_locked(size_t count, void **page, const int *node, int *status)
{
	for (size_t from = 0, to; from < count; from = to) {
		bool failed = false, full = false;

		for (to = from; to < count && node[to] == node[from]; to++) {
			size_t number;
			int now = find(page[to], &number);

			if (now < 0) {
				status[to] = now;
			} else if (now == node[to]) {
				status[to] = now;
			} else if (fake_memory.page[number].shared) {
				status[to] = -EACCES;
			} else if (move_one(number, node[to]) == 0) {
				failed = true;
				full |= !fake_memory.page[number].pinned;
			} else {
				status[to] = node[to];
			}
		}
		if (full)
			return -ENOMEM;
		if (failed)
			return (long)(count - from);
	}
	return 0;
}

static long move(void *context, size_t count, void **page, const int *node, int *status)
{
	size_t number;
	long rc = 0;

	(void)context;
	pthread_mutex_lock(&mutex);
	fake_memory.calls++;
	if (fake_memory.refuse_all)
		rc = -(long)fake_memory.refuse_all;
	else if (node)
		rc = move_locked(count, page, node, status);
	else
		for (size_t i = 0; i < count; i++)
			status[i] = find(page[i], &number);
	pthread_mutex_unlock(&mutex);
	return rc;
}

static void wake(void *context, size_t count, void **page)
{
	size_t number;

	(void)context;
	pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < count; i++)
		if (number_of(page[i], &number))
			fake_memory.page[number].marked = false;
	pthread_mutex_unlock(&mutex);
}

static long next_touch(void *context, uint32_t call, uint64_t nodes, struct vfrt_next_touch *done)
{
	(void)context;
	CHECK(call == FAKE_CALL);
	if (fake_memory.no_next_touch)
		return -(long)fake_memory.no_next_touch;
	fake_memory.next_touch_nodes = nodes;
	*done = (struct vfrt_next_touch){ 11, 12, fake_memory.next_touch_left };
	return 0;
}

static long move_small(void *context, int module, size_t count, void **page, const int *node,
		       int *status)
{
	(void)context;
	CHECK(module == FAKE_MODULE);
	if (fake_memory.no_module)
		return -(long)fake_memory.no_module;
	pthread_mutex_lock(&mutex);
	fake_memory.small_calls++;
	for (size_t i = 0; i < count; i++) {
		size_t number;

		status[i] = find(page[i], &number);
		if (status[i] < 0 || status[i] == node[i])
			continue;
		if (fake_memory.page[number].foreign || fake_memory.page[number].thp)
			status[i] = -EOPNOTSUPP;
		else
			status[i] = move_one(number, node[i]) ? node[i] : -EBUSY;
	}
	pthread_mutex_unlock(&mutex);
	return 0;
}

static uint64_t now(void *context)
{
	(void)context;
	return fake_memory.now;
}

static const struct vfrt_reset_kernel kernel = {
	.proc = proc,
	.sysfs = sysfs,
	.move = move,
	.wake = wake,
	.next_touch = next_touch,
	.move_small = move_small,
	.now = now,
};
const struct vfrt_reset_kernel *fake_kernel = &kernel;

void fake_memory_clear(void)
{
	memset(&fake_memory, 0, sizeof fake_memory);
	for (size_t i = 0; i < FAKE_PAGES; i++)
		fake_memory.page[i].node = FAKE_ABSENT;
	for (int node = 0; node < FAKE_NODES; node++)
		fake_memory.room[node] = FAKE_PAGES;
	mappings = 0;
}

void fake_memory_map(uintptr_t offset, uintptr_t bytes, const char *policy, int node, bool thp,
		     const char *more)
{
	CHECK(mappings < MAPPINGS);
	mapping[mappings++] = (struct mapping){ offset, bytes, policy, more, thp };
	for (size_t i = offset / 4096; i < (offset + bytes) / 4096; i++)
		fake_memory.page[i] = (struct fake_page){ .node = node, .thp = thp };
}

uint64_t fake_memory_on(uintptr_t offset, uintptr_t bytes, int node)
{
	uint64_t count = 0;

	for (size_t i = offset / 4096; i < (offset + bytes) / 4096; i++)
		count += fake_memory.page[i].node == node;
	return count;
}

static size_t describe(const struct mapping *of, char *numa_maps, size_t size)
{
	size_t used = (size_t)snprintf(numa_maps, size, "%lx %s%s", FAKE_BASE + of->offset,
				       of->policy, of->more);

	for (int node = 0; node < FAKE_NODES; node++) {
		uint64_t pages = fake_memory_on(of->offset, of->bytes, node);

		if (pages)
			used += (size_t)snprintf(numa_maps + used, size - used, " N%d=%lu", node,
						 pages);
	}
	return used + (size_t)snprintf(numa_maps + used, size - used, " kernelpagesize_kB=4\n");
}

void fake_memory_publish(void)
{
	static uint64_t pagemap[FAKE_BASE / 4096 + FAKE_PAGES];
	static char smaps[16384], numa_maps[16384];
	char name[64], text[128];
	size_t s = 0, n = 0;

	for (size_t i = 0; i < mappings; i++) {
		const struct mapping *of = &mapping[i];

		s += (size_t)snprintf(smaps + s, sizeof smaps - s,
				      "%lx-%lx rw-p 00000000 00:00 0 \n"
				      "Size: %lu kB\nAnonHugePages: %lu kB\n",
				      FAKE_BASE + of->offset, FAKE_BASE + of->offset + of->bytes,
				      of->bytes / 1024, of->thp ? of->bytes / 1024 : 0);
		n += describe(of, numa_maps + n, sizeof numa_maps - n);
	}
	for (size_t i = 0; i < FAKE_PAGES; i++)
		pagemap[FAKE_BASE / 4096 + i] =
			fake_memory.page[i].node == FAKE_ABSENT ? 0 : UINT64_C(1) << 63;
	fake_file("proc/smaps", smaps, s);
	fake_file("proc/numa_maps", numa_maps, n);
	fake_file("proc/pagemap", pagemap, sizeof pagemap);
	fake_file("sys/devices/system/node/has_memory", "0-3\n", 4);
	for (int node = 0; node < FAKE_NODES; node++) {
		snprintf(name, sizeof name, "sys/devices/system/node/node%d/meminfo", node);
		snprintf(text, sizeof text, "Node %d MemTotal: 999999 kB\nNode %d MemFree: %lu kB\n",
			 node, node, fake_memory.room[node] * 4);
		fake_file(name, text, strlen(text));
		snprintf(name, sizeof name, "sys/devices/system/node/node%d/cpulist", node);
		snprintf(text, sizeof text, "%d-%d\n", 2 * node, 2 * node + 1);
		fake_file(name, text, strlen(text));
	}
	snprintf(proc, sizeof proc, "%s/proc", fake_directory());
	snprintf(sysfs, sizeof sysfs, "%s/sys", fake_directory());
}
