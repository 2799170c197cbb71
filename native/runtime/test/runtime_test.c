/* SPDX-License-Identifier: Apache-2.0 */
/* A process that follows a page, from its start to its child's. */
#include "virtflex/runtime.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "fake.h"

static char page_path[PATH_MAX];
static struct vfrt_cpus startup;

static uint64_t refresh(void)
{
	uint64_t seen;

	vfrt_lock();
	seen = vfrt_refresh();
	vfrt_unlock();
	return seen;
}

static unsigned promised(unsigned long bound, unsigned most)
{
	unsigned count;

	vfrt_lock();
	count = vfrt_threads(bound, most);
	vfrt_unlock();
	return count;
}

static unsigned threads(unsigned long bound)
{
	return promised(bound, UINT_MAX);
}

static unsigned most(unsigned long bound)
{
	unsigned count;

	vfrt_lock();
	count = vfrt_most_threads(bound);
	vfrt_unlock();
	return count;
}

static void acknowledge(uint64_t generation)
{
	vfrt_lock();
	vfrt_acknowledge(generation);
	vfrt_unlock();
}

static long answered(pid_t pid)
{
	char path[PATH_MAX + 32], text[32] = "";
	int fd;

	snprintf(path, sizeof path, "%s.d/%d", page_path, (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	CHECK(read(fd, text, sizeof text - 1) >= 0);
	close(fd);
	return atol(text);
}

static void affinity_is(const struct vfrt_cpus *expected)
{
	struct vfrt_cpus now = { 0 };

	CHECK(sched_getaffinity(0, sizeof now, (cpu_set_t *)(void *)&now) == 0);
	CHECK(vfrt_cpus_equal(&now, expected));
}

/* One CPU to node 0, the others to node 1. */
static struct virtflex_topology_page this_machine(unsigned first)
{
	struct virtflex_topology_page page = fake_page(2, VIRTFLEX_MAX_CPUS);

	for (unsigned cpu = 0; cpu < VIRTFLEX_MAX_CPUS; cpu++)
		page.cpu_node[cpu] = cpu == first ? 0 : 1;
	return page;
}

static void child(pid_t parent)
{
	uint64_t seen;

	/* Unregistered until it looks. */
	CHECK(answered(getpid()) == -1 && vfrt_changed(4));
	seen = refresh();
	CHECK(seen > 0 && !vfrt_changed(seen) && answered(getpid()) == 0);
	acknowledge(seen);
	CHECK((uint64_t)answered(getpid()) == seen && answered(getpid()) != answered(parent));
	_exit(0);
}

static void *refresh_cancelled(void *argument)
{
	(void)argument;
	CHECK(pthread_cancel(pthread_self()) == 0);
	refresh();
	pthread_testcancel();
	return NULL;
}

static void cancelled(void)
{
	pthread_t thread;
	void *result;

	CHECK(pthread_create(&thread, NULL, refresh_cancelled, NULL) == 0);
	CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
}

int main(void)
{
	struct virtflex_topology_page page, *published;
	struct vfrt_cpus first_cpu = { 0 };
	char directory[PATH_MAX + 2];
	unsigned first, all;
	uint64_t seen;
	pid_t pid;
	int status;

	CHECK(sched_getaffinity(0, sizeof startup, (cpu_set_t *)(void *)&startup) == 0);
	first = vfrt_cpus_next(&startup, 0);
	all = vfrt_cpus_count(&startup);
	vfrt_cpus_add(&first_cpu, first);
	page = this_machine(first);
	published = fake_publisher("page", &page);
	snprintf(page_path, sizeof page_path, "%s/page", fake_directory());
	snprintf(directory, sizeof directory, "%s.d", page_path);
	CHECK(mkdir(directory, 0700) == 0);

	/* No page: never anything to do. */
	CHECK(setenv(VIRTFLEX_TOPOLOGY_ENV, "/nonexistent", 1) == 0);
	CHECK(!vfrt_start() && !vfrt_changed(0));

	/* Known from the start, but not registered. */
	CHECK(setenv(VIRTFLEX_TOPOLOGY_ENV, page_path, 1) == 0);
	CHECK(vfrt_start() && vfrt_changed(0) && vfrt_view()->generation == 1);
	CHECK(vfrt_cpus_equal(&vfrt_view()->allowed, &startup) && answered(getpid()) == -1);
	CHECK(threads(0) == all && threads(1) == 1 && threads(all + 1) == all + 1);
	CHECK(promised(0, 1) == 1 && promised(all + 1, 1) == 1 && promised(0, all + 1) == all);
	CHECK(most(0) == all && most(1) == 1 && most(all + 1) == all + 1);

	seen = refresh();
	CHECK(seen == 1 && !vfrt_changed(seen) && answered(getpid()) == 0);
	CHECK(vfrt_set_places(VFRT_PLACES_OMP, "numa_domains"));
	CHECK(vfrt_view()->places.count == (all > 1 ? 2 : 1));
	CHECK(!vfrt_set_places(VFRT_PLACES_OMP, "rubbish") && vfrt_view()->places.count > 0);
	CHECK(vfrt_set_places(VFRT_PLACES_OMP, "numa_domains"));

	/* Node 1 is being left. */
	page.node[1].flags |= VIRTFLEX_NODE_EVACUATING;
	fake_publish(published, &page);
	CHECK(vfrt_changed(seen));
	seen = vfrt_bind_self(VFRT_NO_PLACE, 0);
	CHECK(seen == 2 && !vfrt_changed(seen));
	affinity_is(&first_cpu);
	CHECK(threads(0) == 1 && threads(all + 1) == 1 && vfrt_view()->places.count == 1);
	acknowledge(seen);
	CHECK(answered(getpid()) == 2);

	/* An invalid page is ignored as a whole, and looked at once. */
	page.node[1].flags = VIRTFLEX_NODE_PRESENT | VIRTFLEX_NODE_ONLINE;
	page.node_count = 99;
	fake_publish(published, &page);
	CHECK(vfrt_changed(seen));
	seen = refresh();
	CHECK(seen == 3 && !vfrt_changed(seen));
	CHECK(vfrt_view()->generation == 2 && threads(0) == 1);

	/* Back; a place of an older, longer list is taken modulo. */
	page.node_count = 2;
	fake_publish(published, &page);
	seen = vfrt_bind_self(2, 0);
	affinity_is(&first_cpu);
	CHECK(seen == 4 && threads(0) == all);
	seen = vfrt_bind_self(VFRT_NO_PLACE, 0);
	affinity_is(&startup);
	acknowledge(seen);
	CHECK(answered(getpid()) == 4);

	/* A child is a runtime of its own. */
	page.node[0].memory_kib++;
	fake_publish(published, &page);
	pid = fork();
	if (pid == 0)
		child(getppid());
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(answered(getpid()) == 4);

	/* Nothing is left: the start-up mask stays. */
	for (unsigned node = 0; node < 2; node++)
		page.node[node].flags = VIRTFLEX_NODE_PRESENT;
	fake_publish(published, &page);
	seen = refresh();
	CHECK(vfrt_cpus_equal(&vfrt_view()->allowed, &startup) && threads(0) == all);

	/* The publisher dies in mid-write: tried again, without harm. */
	published->sequence++;
	published->generation++;
	CHECK(refresh() == seen && vfrt_changed(seen));
	published->sequence++;
	CHECK(refresh() == seen + 1 && !vfrt_changed(seen + 1));

	/* A thread that is cancelled leaves the lock to the others. */
	fake_publish(published, &page);
	cancelled();
	seen = refresh();

	vfrt_stop();
	fake_publish(published, &page);
	CHECK(!vfrt_changed(seen) && refresh() == seen);
	acknowledge(seen + 1);
	CHECK((uint64_t)answered(getpid()) != seen + 1);
	return 0;
}
