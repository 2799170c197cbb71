/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

struct virtflex_topology_page fake_page(unsigned nodes, unsigned cpus)
{
	struct virtflex_topology_page page = {
		.magic = VIRTFLEX_PAGE_MAGIC,
		.abi = VIRTFLEX_PAGE_ABI,
		.page_size = VIRTFLEX_PAGE_SIZE,
		.generation = 1,
		.node_count = nodes,
		.cpu_count = cpus,
	};

	for (unsigned node = 0; node < nodes; node++) {
		page.node[node].flags = VIRTFLEX_NODE_PRESENT | VIRTFLEX_NODE_ONLINE;
		page.node[node].memory_kib = 1024;
		for (unsigned to = 0; to < nodes; to++)
			page.distance[node][to] = node == to ? 10 : 20;
	}
	for (unsigned cpu = 0; cpu < VIRTFLEX_MAX_CPUS; cpu++)
		page.cpu_node[cpu] = cpu < cpus ? (uint16_t)(cpu * nodes / cpus)
						: VIRTFLEX_CPU_OFFLINE;
	return page;
}

static char directory[64] = "/tmp/virtflex-rt-XXXXXX";
static pid_t owner;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_directory(void)
{
	if (getpid() == owner)
		nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fake_directory(void)
{
	if (!owner) {
		CHECK(mkdtemp(directory));
		owner = getpid();
		atexit(remove_directory);
	}
	return directory;
}

void fake_adopt(const char *other)
{
	owner = -1;
	CHECK(snprintf(directory, sizeof directory, "%s", other) < (int)sizeof directory);
}

const char *fake_file(const char *name, const void *content, size_t size)
{
	static char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof path, "%s/%s", fake_directory(), name);
	for (char *slash = path + strlen(fake_directory()) + 1; (slash = strchr(slash, '/'));
	     slash++) {
		*slash = '\0';
		CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(write(fd, content, size) == (ssize_t)size);
	close(fd);
	return path;
}

struct virtflex_topology_page *fake_published(const char *name)
{
	struct virtflex_topology_page *published;
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof path, "%s/%s", fake_directory(), name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	published = mmap(NULL, VIRTFLEX_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(published != MAP_FAILED);
	close(fd);
	return published;
}

struct virtflex_topology_page *fake_publisher(const char *name,
					      const struct virtflex_topology_page *page)
{
	unsigned char image[VIRTFLEX_PAGE_SIZE] = { 0 };

	memcpy(image, page, sizeof *page);
	fake_file(name, image, sizeof image);
	return fake_published(name);
}

void fake_publish(struct virtflex_topology_page *published,
		  const struct virtflex_topology_page *change)
{
	uint32_t sequence = published->sequence;
	uint64_t generation = published->generation + 1;
	struct virtflex_topology_page next = *change;
	uint64_t words[sizeof next / sizeof(uint64_t)];

	next.generation = generation;
	next.sequence = sequence + 1;
	memcpy(words, &next, sizeof next);

	__atomic_store_n(&published->sequence, sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	/* The first two words hold the identity and the sequence. */
	for (size_t i = 2; i < sizeof next / sizeof *words; i++)
		__atomic_store_n((uint64_t *)(void *)published + i, words[i], __ATOMIC_RELAXED);
	__atomic_store_n(&published->sequence, sequence + 2, __ATOMIC_RELEASE);
}

static void write_block(unsigned cpu, const char *file, unsigned size, unsigned cpus)
{
	char name[128], list[64];
	unsigned first = cpu / size * size;
	unsigned last = first + size - 1 < cpus ? first + size - 1 : cpus - 1;

	snprintf(name, sizeof name, "sys/devices/system/cpu/cpu%u/%s", cpu, file);
	snprintf(list, sizeof list, "%u-%u\n", first, last);
	fake_file(name, list, strlen(list));
}

static void write_level(unsigned cpu, unsigned index, const char *level)
{
	char name[128];

	snprintf(name, sizeof name, "sys/devices/system/cpu/cpu%u/cache/index%u/level", cpu, index);
	fake_file(name, level, strlen(level));
}

void fake_sysfs(unsigned cpus, unsigned per_core, unsigned per_cache, unsigned per_socket)
{
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		write_block(cpu, "topology/thread_siblings_list", per_core, cpus);
		write_block(cpu, "topology/core_siblings_list", per_socket, cpus);
		write_block(cpu, "cache/index0/shared_cpu_list", per_core, cpus);
		write_level(cpu, 0, "1\n");
		write_block(cpu, "cache/index1/shared_cpu_list", per_cache, cpus);
		write_level(cpu, 1, "3\n");
	}
}

struct vfrt_cpus fake_cpus(const char *list)
{
	struct vfrt_cpus cpus;

	CHECK(vfrt_cpus_parse_list(&cpus, list));
	return cpus;
}
