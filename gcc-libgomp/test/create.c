/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create PLACES: how a team gets its new threads.  Each is to start at the
 * place that it binds itself to, not where its creator spins; and is to start even
 * if the CPUs of its place have gone in the meantime.
 */
#include <dlfcn.h>
#include <errno.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "../../native/runtime/test/check.h"
#include "../../native/runtime/test/follow/subject.h"

typedef int create_function(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static struct vfrt_cpus place; /* that threads are created for; none: their creator's */
static int calls;
static bool gone;

/* What libgomp calls. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *data)
{
	create_function *create = (create_function *)dlsym(RTLD_NEXT, "pthread_create");
	cpu_set_t *set = (cpu_set_t *)(void *)&place;

	place = (struct vfrt_cpus){ 0 };
	/* All CPUs that there could be: none was set. */
	if (pthread_attr_getaffinity_np(attr, sizeof place, set) != 0 ||
	    vfrt_cpus_count(&place) == 8 * sizeof place)
		place = (struct vfrt_cpus){ 0 };
	calls++;
	return gone && !vfrt_cpus_empty(&place) ? EINVAL : create(thread, attr, start, data);
}

static void check_team(int size)
{
	struct vfrt_cpus mask[2] = { 0 };
	int found = 0;

#pragma omp parallel
	{
		struct vfrt_cpus *mine = &mask[omp_get_thread_num()];

		CHECK(sched_getaffinity(0, sizeof *mine, (cpu_set_t *)(void *)mine) == 0);
#pragma omp master
		found = omp_get_num_threads();
	}
	CHECK(found == size);
	for (unsigned thread = 0; thread < (unsigned)size; thread++)
		CHECK(vfrt_cpus_count(&mask[thread]) == 1 &&
		      vfrt_cpus_has(&mask[thread], subject_cpu(thread)));
}

static void shrink_and_expand(void)
{
	subject_publish(1, SUBJECT_EVACUATING);
	check_team(1);
	calls = 0;
	subject_publish(3, SUBJECT_EVACUATING);
	check_team(2);
}

/* The runtime has read its environment by the time that main begins: once more. */
int main(int argc, char **argv)
{
	CHECK(argc == 2 || argc == 3);
	if (argc == 2) {
		CHECK(setenv("OMP_PLACES", argv[1], 1) == 0);
		subject_publish(3, SUBJECT_EVACUATING);
		subject_again(argv);
	}
	subject_resume(argv[2]);
	check_team(2);
	shrink_and_expand();
	CHECK(calls == 1 && vfrt_cpus_count(&place) == 1 && vfrt_cpus_has(&place, subject_cpu(1)));

	gone = true;
	shrink_and_expand();
	CHECK(calls == 2 && vfrt_cpus_empty(&place));
	return 0;
}
