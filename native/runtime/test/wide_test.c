/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime on a machine that isn't there, of up to 1,024 CPUs in 64 nodes: what
 * the kernel says of CPUs and affinity is replaced at link time (--wrap).
 */
#include "virtflex/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "fake.h"

static _Thread_local struct vfrt_cpus mask;
/* As where no CPU of it is the process's any more. */
static struct vfrt_cpus refused;
static char status_path[PATH_MAX], online_path[PATH_MAX];

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);

FILE *__wrap_fopen(const char *path, const char *mode)
{
	return __real_fopen(strcmp(path, "/proc/thread-self/status") == 0 ? status_path : path, mode);
}

int __wrap_open(const char *path, int flags, ...)
{
	return __real_open(strcmp(path, "/sys/devices/system/cpu/online") == 0 ? online_path : path,
			   flags, 0600);
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	CHECK(pid == 0 && size == sizeof mask);
	memcpy(set, &mask, size);
	return 0;
}

int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	CHECK(pid == 0 && size == sizeof mask);
	if (memcmp(set, &refused, size) == 0) {
		errno = EINVAL;
		return -1;
	}
	memcpy(&mask, set, size);
	return 0;
}

static void fake_machine(void)
{
	char text[512] = "Name:\twide\nCpus_allowed:\t";

	for (unsigned word = 0; word < VIRTFLEX_MAX_CPUS / 32; word++)
		strcat(text, word ? ",ffffffff" : "ffffffff");
	strcat(text, "\n");
	strcpy(status_path, fake_file("status", text, strlen(text)));
	strcpy(online_path, fake_file("online", "0-1023\n", 7));
}

/* CPUs of the nodes from first on, so many, where each node has per_node. */
static struct vfrt_cpus cpus_of(unsigned first, unsigned nodes, unsigned per_node)
{
	struct vfrt_cpus cpus = { 0 };

	for (unsigned cpu = first * per_node; cpu < (first + nodes) * per_node; cpu++)
		vfrt_cpus_add(&cpus, cpu);
	return cpus;
}

/* Under the lock: of a program that was told the most that there may ever be. */
static unsigned threads(unsigned long bound)
{
	return vfrt_threads(bound, VIRTFLEX_MAX_CPUS);
}

struct member {
	int place;
	struct vfrt_cpus expected;
	uint64_t generation;
};

static void *bind(void *argument)
{
	const struct member *member = argument;

	CHECK(vfrt_bind_self(member->place, 0) == member->generation);
	CHECK(vfrt_cpus_equal(&mask, &member->expected));
	return NULL;
}

/* A thread for each place, all at once: place i is the node i, past the one that left. */
static void bind_team(unsigned places, unsigned gone, unsigned per_node, uint64_t generation)
{
	static struct member member[VIRTFLEX_MAX_NODES];
	pthread_t thread[VIRTFLEX_MAX_NODES];

	for (unsigned i = 0; i < places; i++) {
		member[i].place = (int)i;
		member[i].expected = cpus_of(i < gone ? i : i + 1, 1, per_node);
		member[i].generation = generation;
		CHECK(pthread_create(&thread[i], NULL, bind, &member[i]) == 0);
	}
	for (unsigned i = 0; i < places; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
}

static void leave_and_return(struct virtflex_topology_page *published, unsigned nodes,
			     unsigned cpus)
{
	unsigned per_node = cpus / nodes;

	for (unsigned gone = 0; gone < nodes; gone++) {
		struct virtflex_topology_page page = fake_page(nodes, cpus);
		struct vfrt_cpus rest = cpus_of(0, nodes, per_node), left;

		for (unsigned cpu = 0; cpu < cpus; cpu++)
			page.cpu_node[cpu] = (uint16_t)(cpu / per_node);
		page.node[gone].flags |= VIRTFLEX_NODE_EVACUATING;
		left = cpus_of(gone, 1, per_node);
		for (unsigned cpu = 0; cpu < cpus; cpu++)
			if (vfrt_cpus_has(&left, cpu))
				vfrt_cpus_remove(&rest, cpu);
		fake_publish(published, &page);
		vfrt_lock();
		CHECK(vfrt_refresh() == published->generation);
		/* The last node can't leave: all stays. */
		if (nodes == 1) {
			CHECK(threads(0) == VIRTFLEX_MAX_CPUS);
		} else {
			CHECK(vfrt_cpus_equal(&vfrt_view()->allowed, &rest));
			CHECK(threads(0) == cpus - per_node && threads(3) == 3);
			CHECK(threads(cpus) == cpus - per_node);
			CHECK(vfrt_view()->places.count == nodes - 1);
		}
		vfrt_acknowledge(published->generation);
		vfrt_unlock();
		if (nodes > 1)
			bind_team(nodes - 1, gone, per_node, published->generation);
	}
}

/* The thread leaves what leaves all the same: the last of 64 nodes is gone. */
static void place_refused(uint64_t generation)
{
	struct vfrt_cpus rest = cpus_of(0, 63, 16);

	refused = cpus_of(0, 1, 16);
	CHECK(vfrt_bind_self(0, 0) == generation && vfrt_cpus_equal(&mask, &rest));
}

int main(void)
{
	struct virtflex_topology_page page = fake_page(64, VIRTFLEX_MAX_CPUS), *published;
	char path[PATH_MAX];

	fake_machine();
	published = fake_publisher("page", &page);
	snprintf(path, sizeof path, "%s/page.d", fake_directory());
	CHECK(mkdir(path, 0700) == 0);
	path[strlen(path) - 2] = '\0';
	CHECK(setenv(VIRTFLEX_TOPOLOGY_ENV, path, 1) == 0);

	CHECK(vfrt_start() && vfrt_cpus_count(vfrt_startup_cpus()) == VIRTFLEX_MAX_CPUS);
	CHECK(vfrt_set_places(VFRT_PLACES_OMP, "numa_domains"));
	CHECK(vfrt_view()->places.count == 64 && threads(0) == VIRTFLEX_MAX_CPUS);
	for (unsigned nodes = 1; nodes <= 64; nodes *= 2)
		for (unsigned cpus = nodes * 4; cpus <= VIRTFLEX_MAX_CPUS; cpus *= 4)
			leave_and_return(published, nodes, cpus);
	place_refused(published->generation);
	vfrt_stop();
	return 0;
}
