/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow FOLLOWER ENTRY BINDING: one cell of the matrix.  The follower enters
 * regions by ENTRY under BINDING (places: threads, cores, numa_domains, explicit;
 * kinds: none, spread, primary, true, gomp_cpu_affinity) while the topology shrinks, expands, becomes another of the same size, changes
 * twice at once, and changes before every region.  Checked after each: number of
 * threads, affinity of each as /proc tells it, acknowledgement, result.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../check.h"
#include "subject.h"

#define BOTH 3u
#define FIRST 1u
#define SECOND 2u

static const char *binding;

static bool is(const char *name)
{
	return strcmp(binding, name) == 0;
}

static void set_binding(void)
{
	char text[64];

	unsetenv("OMP_NUM_THREADS");
	unsetenv("OMP_PROC_BIND");
	unsetenv("GOMP_CPU_AFFINITY");
	unsetenv("OMP_PLACES");
	if (is("none"))
		return;
	if (is("gomp_cpu_affinity")) {
		snprintf(text, sizeof text, "%u %u", subject_cpu(1), subject_cpu(0));
		CHECK(setenv("GOMP_CPU_AFFINITY", text, 1) == 0);
		return;
	}
	if (is("spread") || is("primary") || is("true")) {
		CHECK(setenv("OMP_PROC_BIND", binding, 1) == 0);
		CHECK(setenv("OMP_PLACES", "threads", 1) == 0);
		return;
	}
	snprintf(text, sizeof text, "%s", binding);
	if (is("explicit"))
		snprintf(text, sizeof text, "{%u},{%u}", subject_cpu(1), subject_cpu(0));
	CHECK(setenv("OMP_PLACES", text, 1) == 0 && setenv("OMP_PROC_BIND", "close", 1) == 0);
}

/* Of thread number thread, when only nodes may be used. */
static struct vfrt_cpus expected(unsigned nodes, unsigned thread)
{
	struct vfrt_cpus cpus = { 0 };
	unsigned node = thread;

	if (is("none")) {
		for (unsigned i = 0; i < 2; i++)
			if (nodes & 1u << i)
				vfrt_cpus_add(&cpus, subject_cpu(i));
		return cpus;
	}
	if (is("primary"))
		node = 0;
	if (is("explicit") || is("gomp_cpu_affinity"))
		node = 1 - thread;
	if (nodes != BOTH)
		node = nodes == FIRST ? 0 : 1;
	vfrt_cpus_add(&cpus, subject_cpu(node));
	return cpus;
}

/* Surplus threads end by themselves, a moment later; those that don't must be
 * where they may. */
static void check_surplus(const struct subject *subject, unsigned nodes)
{
	struct vfrt_cpus allowed = { 0 };
	long tid[SUBJECT_MAX_THREADS];
	bool confined = false;

	for (unsigned i = 0; i < 2; i++)
		if (nodes & 1u << i)
			vfrt_cpus_add(&allowed, subject_cpu(i));
	for (int tries = 0; tries < 500 && !confined; tries++) {
		int count = subject_tasks(subject, tid, SUBJECT_MAX_THREADS);

		confined = true;
		for (int i = 0; i < count; i++) {
			struct vfrt_cpus mask = subject_affinity(subject, tid[i]);
			struct vfrt_cpus inside = vfrt_cpus_and(&mask, &allowed);

			confined &= vfrt_cpus_equal(&mask, &inside);
		}
		if (!confined)
			usleep(10000);
	}
	CHECK(confined);
}

static void check(const struct subject *subject, unsigned nodes, uint64_t generation)
{
	int threads = nodes == BOTH ? 2 : 1;

	if (subject->threads != threads) {
		fprintf(stderr, "generation %lu: %d threads, not %d\n", (unsigned long)generation,
			subject->threads, threads);
		exit(1);
	}
	for (int i = 0; i < subject->threads; i++) {
		struct vfrt_cpus mask = subject_affinity(subject, subject->tid[i]);
		struct vfrt_cpus wanted = expected(nodes, (unsigned)i);

		if (!vfrt_cpus_equal(&mask, &wanted)) {
			char is[64], should[64];

			vfrt_cpus_format(&mask, is, sizeof is);
			vfrt_cpus_format(&wanted, should, sizeof should);
			fprintf(stderr, "generation %lu: thread %d of %d is bound to %s, not %s\n",
				(unsigned long)generation, i, subject->threads, is, should);
			exit(1);
		}
	}
	check_surplus(subject, nodes);
	CHECK(subject_acknowledged(subject) == (long)generation);
}

int main(int argc, char **argv)
{
	struct subject subject;
	uint64_t generation;

	CHECK(argc == 4);
	binding = argv[3];
	set_binding();
	generation = subject_publish(BOTH, SUBJECT_EVACUATING);
	subject_start(&subject, (char *[]){ argv[1], argv[2], NULL });
	subject_run(&subject, 3);
	check(&subject, BOTH, generation);

	for (enum subject_way way = 0; way < SUBJECT_WAYS; way++) {
		/* shrink */
		generation = subject_publish(FIRST, way);
		subject_run(&subject, 1);
		check(&subject, FIRST, generation);
		/* same size, other node */
		generation = subject_publish(SECOND, way);
		subject_run(&subject, 1);
		check(&subject, SECOND, generation);
		/* expand */
		generation = subject_publish(BOTH, way);
		subject_run(&subject, 2);
		check(&subject, BOTH, generation);
		/* two at once */
		subject_publish(FIRST, way);
		generation = subject_publish(SECOND, way);
		subject_run(&subject, 1);
		check(&subject, SECOND, generation);
		/* nothing that concerns this program */
		generation = subject_publish(SECOND, way);
		subject_run(&subject, 1);
		check(&subject, SECOND, generation);
	}
	/* before every region */
	for (unsigned i = 0; i < 30; i++) {
		unsigned nodes = 1 + i % 3;

		generation = subject_publish(nodes, i % SUBJECT_WAYS);
		subject_run(&subject, 1);
		check(&subject, nodes, generation);
	}
	subject_stop(&subject);
	return 0;
}
