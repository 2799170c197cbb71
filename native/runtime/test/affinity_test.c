/* SPDX-License-Identifier: Apache-2.0 */
#include "affinity.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "check.h"
#include "fake.h"
#include "virtflex/runtime.h"

static void narrowed(void)
{
	struct vfrt_cpus none = { 0 }, c0 = fake_cpus("0"), c1 = fake_cpus("1"),
			 c01 = fake_cpus("0-1"), c03 = fake_cpus("0-3");

	/* By the program, of the start-up mask or of the last that we set. */
	CHECK(vfrt_affinity_narrowed(&c1, &c03, &c03, &c03));
	CHECK(vfrt_affinity_narrowed(&c1, &c01, &c03, &c03));
	/* Not at all. */
	CHECK(!vfrt_affinity_narrowed(&c03, &c03, &c03, &c03));
	CHECK(!vfrt_affinity_narrowed(&c01, &c01, &c03, &c03));
	/* CPUs 2 and 3 went offline, and from every mask with them. */
	CHECK(!vfrt_affinity_narrowed(&c01, &c03, &c03, &c01));
	/* All of the mask went offline: the kernel gave it every CPU. */
	CHECK(!vfrt_affinity_narrowed(&c0, &c1, &c01, &c0));
	/* Widened. */
	CHECK(!vfrt_affinity_narrowed(&c03, &c01, &c01, &c03));
	CHECK(!vfrt_affinity_narrowed(&c03, &c01, &c03, &c03));
	/* Narrowed to a CPU that the page has offline. */
	CHECK(vfrt_affinity_narrowed(&c1, &c01, &c01, &c0));
	CHECK(!vfrt_affinity_narrowed(&none, &none, &c01, &none));
}

static struct vfrt_cpus mask(void)
{
	struct vfrt_cpus now = { 0 };

	CHECK(sched_getaffinity(0, sizeof now, (cpu_set_t *)(void *)&now) == 0);
	return now;
}

static void set_mask(const struct vfrt_cpus *cpus)
{
	CHECK(sched_setaffinity(0, sizeof *cpus, (const cpu_set_t *)(const void *)cpus) == 0);
}

static void is(const struct vfrt_cpus *expected)
{
	struct vfrt_cpus now = mask();

	CHECK(vfrt_cpus_equal(&now, expected));
}

/* On the CPUs of this machine. */
static void confined(void)
{
	struct vfrt_cpus startup = mask(), a = { 0 }, b = { 0 }, from_proc;
	unsigned first = vfrt_cpus_next(&startup, 0);
	unsigned second = vfrt_cpus_next(&startup, first + 1);

	from_proc = vfrt_affinity_startup();
	from_proc = vfrt_cpus_and(&from_proc, &startup);
	CHECK(vfrt_cpus_equal(&from_proc, &startup));

	vfrt_cpus_add(&a, first);
	CHECK(vfrt_affinity_bind(&a) == 0);
	is(&a);
	CHECK(vfrt_affinity_confine(&startup, &startup, &startup, 0) == 0);
	is(&startup);
	if (second == VIRTFLEX_MAX_CPUS) {
		fprintf(stderr, "one CPU: nothing to narrow to\n");
		return;
	}

	vfrt_cpus_add(&b, second);
	/* The program keeps to b; b leaves; b comes back. */
	set_mask(&b);
	CHECK(vfrt_affinity_confine(&startup, &startup, &startup, 0) == 0);
	is(&b);
	CHECK(vfrt_affinity_confine(&a, &startup, &a, 0) == 0);
	is(&a);
	CHECK(vfrt_affinity_confine(&startup, &startup, &startup, 0) == 0);
	is(&b);
	/* The program takes every CPU again. */
	set_mask(&startup);
	CHECK(vfrt_affinity_confine(&startup, &startup, &startup, 0) == 0);
	is(&startup);
	CHECK(vfrt_affinity_confine(&a, &startup, &startup, 0) == 0);
	is(&a);
	CHECK(vfrt_affinity_confine(&startup, &startup, &startup, 0) == 0);
	is(&startup);
}

/* A new thread has its maker's mask, which isn't its own choice. */
static void *made(void *startup)
{
	CHECK(vfrt_affinity_confine(startup, startup, startup, 0) == 0);
	is(startup);
	return NULL;
}

static struct vfrt_thread creator;

static void *made_knowingly(void *startup)
{
	vfrt_thread_inherit(&creator);
	return made(startup);
}

static void inherited(void)
{
	struct vfrt_cpus startup = mask(), a = { 0 };
	pthread_t thread;

	vfrt_cpus_add(&a, vfrt_cpus_next(&startup, 0));
	CHECK(vfrt_affinity_confine(&a, &startup, &startup, 0) == 0);
	creator = *vfrt_thread();
	CHECK(creator.is_set && !creator.has_own);
	CHECK(pthread_create(&thread, NULL, made_knowingly, &startup) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	made(&startup);
}

/* The kernel may move it on at any time, but not each time. */
static void dealt(void)
{
	struct vfrt_cpus startup = mask(), first = { 0 };
	unsigned cpu = vfrt_cpus_next(&startup, 0), last = cpu, hits = 0, count;

	vfrt_cpus_add(&first, cpu);
	for (count = vfrt_cpus_count(&startup); cpu < VIRTFLEX_MAX_CPUS;
	     cpu = vfrt_cpus_next(&startup, cpu + 1))
		last = cpu;
	for (int i = 0; i < 20; i++) {
		CHECK(vfrt_affinity_confine(&first, &startup, &startup, 0) == 0);
		CHECK(vfrt_affinity_confine(&startup, &startup, &startup, 2 * count - 1) == 0);
		hits += (unsigned)sched_getcpu() == last;
	}
	CHECK(hits >= 10);
}

int main(void)
{
	narrowed();
	confined();
	dealt();
	inherited();
	return 0;
}
