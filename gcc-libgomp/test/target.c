/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target PLACES: target regions that the host runs, as there is no device.  Their
 * threads end with them, so that nobody can look at them afterwards: they look
 * at themselves.
 */
#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../native/runtime/test/check.h"
#include "../../native/runtime/test/follow/subject.h"

#define THREADS 64

static struct {
	int size;
	long sum;
	struct vfrt_cpus mask[THREADS];
} team;

static void note(void)
{
	team.size = 0;
	team.sum = 0;
#pragma omp parallel
	{
		struct vfrt_cpus *mask = &team.mask[omp_get_thread_num()];

		CHECK(sched_getaffinity(0, sizeof *mask, (cpu_set_t *)(void *)mask) == 0);
#pragma omp atomic
		team.sum += omp_get_thread_num() + 1;
#pragma omp master
		team.size = omp_get_num_threads();
	}
}

/* What GCC emitted before 12 for teams in a target region. */
void GOMP_teams(unsigned, unsigned);

static void old_teams(void)
{
	GOMP_teams(1, THREADS);
	note();
}

static void check(unsigned nodes, bool placed)
{
	CHECK(team.size == (nodes == 3 ? 2 : 1) && team.sum == team.size * (team.size + 1) / 2);
	for (int thread = 0; thread < team.size; thread++) {
		struct vfrt_cpus expected = { 0 };

		for (unsigned node = 0; node < 2; node++)
			if ((nodes & 1u << node) && (!placed || nodes != 3 || (int)node == thread))
				vfrt_cpus_add(&expected, subject_cpu(node));
		CHECK(vfrt_cpus_equal(&team.mask[thread], &expected));
	}
}

/* The runtime has read its environment by the time that main begins: once more. */
int main(int argc, char **argv)
{
	CHECK(argc == 2 || argc == 3);
	if (argc == 2) {
		unsetenv("OMP_NUM_THREADS");
		unsetenv("OMP_PLACES");
		unsetenv("OMP_PROC_BIND");
		if (strcmp(argv[1], "none") != 0)
			CHECK(setenv("OMP_PLACES", argv[1], 1) == 0);
		subject_publish(3, SUBJECT_EVACUATING);
		subject_again(argv);
	}
	subject_resume(argv[2]);
	for (unsigned i = 0; i < 30; i++) {
		struct subject self = { .pid = getpid() };
		unsigned nodes = 1 + i % 3;
		uint64_t generation = subject_publish(nodes, i % SUBJECT_WAYS);

		if (i & 1) {
#pragma omp target teams num_teams(1) thread_limit(THREADS)
			note();
		} else {
#pragma omp target
			old_teams();
		}
		check(nodes, strcmp(argv[1], "none") != 0);
		CHECK(subject_acknowledged(&self) == (long)generation);
	}
	return 0;
}
