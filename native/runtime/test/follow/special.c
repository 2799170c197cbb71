/* SPDX-License-Identifier: Apache-2.0 */
/*
 * special SCENARIO: an OpenMP program that changes the topology itself, between
 * and within its regions, and looks at its own threads: what a watcher from
 * outside can't time.  Run it under the runtime that is to be tested.
 */
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../check.h"
#include "subject.h"

#define BOTH 3u
#define FIRST 1u
#define SECOND 2u

static struct vfrt_cpus own_mask(void)
{
	struct vfrt_cpus mask = { 0 };

	CHECK(sched_getaffinity(0, sizeof mask, (cpu_set_t *)(void *)&mask) == 0);
	return mask;
}

static void set_own_mask(const struct vfrt_cpus *mask)
{
	CHECK(sched_setaffinity(0, sizeof *mask, (const cpu_set_t *)(const void *)mask) == 0);
}

static struct vfrt_cpus cpus_of(unsigned nodes)
{
	struct vfrt_cpus cpus = { 0 };

	for (unsigned node = 0; node < 2; node++)
		if (nodes & 1u << node)
			vfrt_cpus_add(&cpus, subject_cpu(node));
	return cpus;
}

static bool is_on(unsigned nodes)
{
	struct vfrt_cpus mask = own_mask(), cpus = cpus_of(nodes);

	return vfrt_cpus_equal(&mask, &cpus);
}

static void publish(unsigned nodes)
{
	subject_publish(nodes, SUBJECT_EVACUATING);
}

/* Size of the next team; every thread of it must have exactly these nodes. */
static int team_on(unsigned nodes)
{
	int size = 0, wrong = 0;

#pragma omp parallel reduction(+ : wrong)
	{
		wrong = !is_on(nodes);
#pragma omp master
		size = omp_get_num_threads();
	}
	CHECK(wrong == 0);
	return size;
}

static struct subject self(void)
{
	return (struct subject){ .pid = getpid() };
}

/* Asking tells what will be, before the region. */
static void max_threads(void)
{
	CHECK(omp_get_max_threads() == 2 && omp_get_num_procs() == 2);
	publish(FIRST);
	CHECK(omp_get_max_threads() == 1 && omp_get_num_procs() == 1);
	omp_set_num_threads(8);
	publish(BOTH);
	CHECK(omp_get_num_procs() == 2 && omp_get_max_threads() == 8);
	omp_set_num_threads(2);
	CHECK(team_on(BOTH) == 2);
}

static void *team_of_another(void *size)
{
	*(int *)size = team_on(BOTH);
	return NULL;
}

static int team_of_another_thread(void)
{
	pthread_t other;
	int size;

	CHECK(pthread_create(&other, NULL, team_of_another, &size) == 0);
	CHECK(pthread_join(other, NULL) == 0);
	return size;
}

/* No team is ever larger than what was told, unless the program asks for it. */
static void promise(void)
{
	CHECK(omp_get_max_threads() == 2);
	publish(FIRST);
	CHECK(team_on(FIRST) == 1);
	publish(BOTH);
	CHECK(team_on(BOTH) == 2);

	publish(FIRST);
	CHECK(omp_get_max_threads() == 1);
	publish(BOTH);
	CHECK(team_on(BOTH) == 1 && omp_get_max_threads() == 1);
	CHECK(team_of_another_thread() == 1);

	omp_set_num_threads(2);
	CHECK(omp_get_max_threads() == 2 && team_on(BOTH) == 2);
	CHECK(team_of_another_thread() == 1);
	publish(FIRST);
	CHECK(omp_get_max_threads() == 1);
	publish(BOTH);
	CHECK(team_on(BOTH) == 1);
}

/* With teams that the runtime sizes, all that there may ever be are told. */
static void promise_dynamic(void)
{
	publish(FIRST);
	CHECK(omp_get_max_threads() == 2 && team_on(FIRST) == 1);
	publish(BOTH);
	CHECK(omp_get_max_threads() == 2 && team_on(BOTH) <= 2);
	omp_set_num_threads(1);
	CHECK(omp_get_max_threads() == 1);
}

/* omp_set_num_threads is an upper bound, and exact where all is there. */
static void set_num_threads(void)
{
	omp_set_num_threads(3);
	CHECK(team_on(BOTH) == 3);
	publish(FIRST);
	CHECK(team_on(FIRST) == 1);
	omp_set_num_threads(8);
	CHECK(team_on(FIRST) == 1);
	publish(BOTH);
	CHECK(team_on(BOTH) == 8);
	omp_set_num_threads(1);
	CHECK(team_on(BOTH) == 1);
	publish(FIRST);
	CHECK(team_on(FIRST) == 1);
	publish(BOTH);
	CHECK(team_on(BOTH) == 1);
}

/* A clause is exact. */
static void clause(void)
{
	for (unsigned i = 0; i < 6; i++) {
		unsigned nodes = 1 + i % 3;
		int size = 0, wrong = 0;

		publish(nodes);
#pragma omp parallel num_threads(3) reduction(+ : wrong)
		{
			wrong = !is_on(nodes);
#pragma omp master
			size = omp_get_num_threads();
		}
		CHECK(size == 3 && wrong == 0);
	}
}

/* OMP_NUM_THREADS=1: an upper bound. */
static void num_threads_1(void)
{
	CHECK(team_on(BOTH) == 1);
	publish(SECOND);
	CHECK(team_on(SECOND) == 1);
	publish(BOTH);
	CHECK(team_on(BOTH) == 1);
}

/* OMP_NUM_THREADS=8: more than there are CPUs, as the user wants, but only where
 * all is there. */
static void num_threads_8(void)
{
	CHECK(team_on(BOTH) == 8);
	publish(SECOND);
	CHECK(team_on(SECOND) == 1);
	publish(BOTH);
	CHECK(team_on(BOTH) == 8);
}

/* OMP_NUM_THREADS=1 VIRTFLEX_THREADS=follow: lifted. */
static void follow(void)
{
	CHECK(team_on(BOTH) == 2);
	omp_set_num_threads(1);
	CHECK(team_on(BOTH) == 2);
	publish(SECOND);
	CHECK(team_on(SECOND) == 1);
}

/* OMP_NUM_THREADS=2,3: the inner number is the user's. */
static void list(void)
{
	for (unsigned i = 0; i < 6; i++) {
		unsigned nodes = 1 + i % 3;
		int outer = 0, inner = 0, wrong = 0;

		publish(nodes);
#pragma omp parallel
		{
#pragma omp master
			outer = omp_get_num_threads();
#pragma omp parallel reduction(+ : wrong)
			{
				wrong = !is_on(nodes);
#pragma omp master
#pragma omp atomic write
				inner = omp_get_num_threads();
			}
		}
		CHECK(outer == (nodes == BOTH ? 2 : 1) && inner == 3 && wrong == 0);
	}
}

/* OMP_THREAD_LIMIT=1 */
static void thread_limit(void)
{
	CHECK(team_on(BOTH) == 1);
	publish(SECOND);
	CHECK(team_on(SECOND) == 1);
	publish(BOTH);
	CHECK(team_on(BOTH) == 1);
}

/* OMP_DYNAMIC=true: never more than there are processors; the load decides. */
static void dynamic(void)
{
	publish(FIRST);
	CHECK(team_on(FIRST) == 1);
	publish(BOTH);
	CHECK(team_on(BOTH) <= 2 && omp_get_dynamic());
}

/* Primary threads beside each other. */
static void *primary(void *nodes)
{
	for (int i = 0; i < 200; i++) {
		int size = 0;
		long sum = 0;

#pragma omp parallel reduction(+ : sum)
		{
			sum = omp_get_thread_num() + 1;
#pragma omp master
			size = omp_get_num_threads();
		}
		CHECK(sum == size * (size + 1) / 2 && size >= 1 && size <= 2);
	}
	return nodes;
}

static pthread_barrier_t both_ready;

static void *settled(void *nodes)
{
	primary(NULL);
	pthread_barrier_wait(&both_ready);
	CHECK(team_on(*(unsigned *)nodes) == (*(unsigned *)nodes == BOTH ? 2 : 1));
	return NULL;
}

static void primaries(void)
{
	for (unsigned i = 0; i < 6; i++) {
		unsigned nodes = 1 + i % 3;
		pthread_t thread[3];

		CHECK(pthread_barrier_init(&both_ready, NULL, 4) == 0);
		for (int k = 0; k < 3; k++)
			CHECK(pthread_create(&thread[k], NULL, settled, &nodes) == 0);
		for (unsigned change = 0; change < 20; change++)
			publish(1 + change % 3);
		publish(nodes);
		pthread_barrier_wait(&both_ready);
		for (int k = 0; k < 3; k++)
			CHECK(pthread_join(thread[k], NULL) == 0);
	}
}

/* A thread that the program pinned stays there, unless that CPU goes. */
static void own(void)
{
	struct vfrt_cpus second = cpus_of(SECOND), all = cpus_of(BOTH);

	CHECK(team_on(BOTH) == 2);
#pragma omp parallel
	if (omp_get_thread_num() == 1)
		set_own_mask(&second);
	for (unsigned i = 0; i < 3; i++) {
		int wrong = 0;

		publish(BOTH);
#pragma omp parallel reduction(+ : wrong)
		wrong = !is_on(omp_get_thread_num() == 1 ? SECOND : BOTH);
		CHECK(wrong == 0);
	}
#pragma omp parallel
	set_own_mask(&all);
	publish(FIRST);
	CHECK(team_on(FIRST) == 1);
	publish(BOTH);
	CHECK(team_on(BOTH) == 2);

	/* The primary, whose CPU leaves and comes back. */
	set_own_mask(&second);
	publish(FIRST);
	CHECK(team_on(FIRST) == 1);
	publish(BOTH);
#pragma omp parallel
	{
#pragma omp master
		CHECK(is_on(SECOND));
	}
}

/* Started on the second CPU alone: there it stays, even if that is to leave. */
static void confined(void)
{
	for (unsigned i = 0; i < 6; i++) {
		publish(1 + i % 3);
		CHECK(team_on(SECOND) == 1 && omp_get_num_procs() == 1);
	}
}

/* A child of a process that has no team yet; of one of a single thread. */
static void forks(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct subject child = self();

		CHECK(team_on(BOTH) == 2 && subject_acknowledged(&child) == 1);
		publish(FIRST);
		CHECK(team_on(FIRST) == 1 && subject_acknowledged(&child) == 2);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* The child has published generation 2, of FIRST, for both. */
	CHECK(team_on(FIRST) == 1);
	pid = fork();
	if (pid == 0) {
		CHECK(team_on(FIRST) == 1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Children of a process that has a team, whose threads they don't have. */
static void forks_from_team(void)
{
	for (unsigned i = 0; i < 20; i++) {
		struct vfrt_cpus all = cpus_of(BOTH);
		struct subject parent = self();
		long tid[SUBJECT_MAX_THREADS];
		int status, count;
		pid_t pid;

		publish(BOTH);
		CHECK(team_on(BOTH) == 2);
		pid = fork();
		if (pid == 0) {
			CHECK(team_on(BOTH) == 2);
			publish(FIRST);
			CHECK(team_on(FIRST) == 1);
			publish(BOTH);
			CHECK(team_on(BOTH) == 2);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		CHECK(WEXITSTATUS(status) == 0);
		/* The child has touched its own threads alone. */
		count = subject_tasks(&parent, tid, SUBJECT_MAX_THREADS);
		for (int thread = 0; thread < count; thread++) {
			struct vfrt_cpus mask = subject_affinity(&parent, tid[thread]);

			CHECK(vfrt_cpus_equal(&mask, &all));
		}
	}
}

/* A league of one team: its threads, however many the runtime gives it. */
static void league(void)
{
	for (unsigned i = 0; i < 6; i++) {
		unsigned nodes = 1 + i % 3;
		int wrong = 0;

		publish(nodes);
#pragma omp teams num_teams(1) reduction(+ : wrong)
#pragma omp parallel reduction(+ : wrong)
		wrong += !is_on(nodes);
		CHECK(wrong == 0);
	}
}

/* Within one region: at a barrier, a chunk, the end of a loop, a task. */
static void at_barrier(void)
{
	struct subject me = self();
	int wrong = 0, size = 0;

#pragma omp parallel reduction(+ : wrong)
	{
		CHECK(is_on(BOTH));
#pragma omp barrier
#pragma omp single
		publish(FIRST);
#pragma omp barrier
		wrong += !is_on(FIRST);
#pragma omp barrier
#pragma omp single
		publish(SECOND);
#pragma omp barrier
		wrong += !is_on(SECOND);
		/* All have moved: answered within the region. */
#pragma omp barrier
#pragma omp master
		{
			wrong += subject_acknowledged(&me) != 3;
			size = omp_get_num_threads();
		}
	}
	CHECK(wrong == 0 && size == 2);
	CHECK(team_on(SECOND) == 1);
	publish(BOTH);
	CHECK(team_on(BOTH) == 2);
}

static void at_chunk(void)
{
	int wrong = 0;

#pragma omp parallel for schedule(dynamic, 1) reduction(+ : wrong)
	for (int i = 0; i < 400; i++) {
		static int published_at = 400;

		if (i == 100) {
			publish(FIRST);
			__atomic_store_n(&published_at, i, __ATOMIC_RELEASE);
		}
		/* An iteration that was handed out after it. */
		if (i > 110 && __atomic_load_n(&published_at, __ATOMIC_ACQUIRE) == 100)
			wrong += !is_on(FIRST);
		usleep(200);
	}
	CHECK(wrong == 0 && team_on(FIRST) == 1);
}

/* One thread waits at the end of a loop already when the topology changes. */
static void at_loop_end(void)
{
	int wrong = 0;

	CHECK(team_on(BOTH) == 2);
#pragma omp parallel reduction(+ : wrong)
	{
#pragma omp for schedule(dynamic, 1)
		for (int i = 0; i < 2; i++) {
			if (i == 0) {
				usleep(20000);
				publish(FIRST);
			}
		}
		wrong = !is_on(FIRST);
	}
	CHECK(wrong == 0 && team_on(FIRST) == 1);
}

static void at_task(void)
{
	int wrong = 0, published = 0;

#pragma omp parallel
#pragma omp single
	{
		for (int i = 0; i < 200; i++) {
#pragma omp task shared(wrong, published) firstprivate(i)
			{
				if (i == 50) {
					publish(FIRST);
					__atomic_store_n(&published, 1, __ATOMIC_RELEASE);
				}
				usleep(200);
			}
		}
#pragma omp taskwait
		CHECK(__atomic_load_n(&published, __ATOMIC_ACQUIRE));
		for (int i = 0; i < 50; i++) {
#pragma omp task shared(wrong)
			{
				if (!is_on(FIRST))
					__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
				usleep(200);
			}
		}
	}
	CHECK(wrong == 0 && team_on(FIRST) == 1);
}

/* One thread has moved when a region ends, by an event that it alone had, and the
 * next team is a smaller one: its threads alone are waited for. */
static void one_ahead(void)
{
	struct subject me = self();
	int begun = 0, wrong = 0;
	long before;

	CHECK(team_on(BOTH) == 2);
	before = subject_acknowledged(&me);
#pragma omp parallel num_threads(4)
	{
		__atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED);
#pragma omp master
		{
			while (__atomic_load_n(&begun, __ATOMIC_RELAXED) < 4)
				usleep(100);
			publish(FIRST);
#pragma omp task if (0)
			usleep(1);
		}
	}
#pragma omp parallel num_threads(2) reduction(+ : wrong)
	wrong = !is_on(FIRST);
	CHECK(wrong == 0 && subject_acknowledged(&me) == before + 1);
}

/* Idle threads that spin (OMP_WAIT_POLICY=active) don't stay behind. */
static void idle(void)
{
	struct subject me = self();
	long tid[SUBJECT_MAX_THREADS];
	int count = 0;

	CHECK(team_on(BOTH) == 2);
	publish(FIRST);
	CHECK(team_on(FIRST) == 1);
	for (int tries = 0; tries < 500; tries++) {
		bool behind = false;

		count = subject_tasks(&me, tid, SUBJECT_MAX_THREADS);
		for (int i = 0; i < count; i++) {
			struct vfrt_cpus mask = subject_affinity(&me, tid[i]), first = cpus_of(FIRST);

			behind |= !vfrt_cpus_equal(&mask, &first);
		}
		if (!behind)
			return;
		usleep(10000);
	}
	CHECK(!"a thread stays behind");
}

static const struct {
	const char *name;
	void (*run)(void);
	const char *environment; /* "NAME=value NAME=value" */
} scenarios[] = {
	{ "max_threads", max_threads, "" },
	{ "promise", promise, "" },
	{ "promise_dynamic", promise_dynamic, "OMP_DYNAMIC=true" },
	{ "set_num_threads", set_num_threads, "" },
	{ "clause", clause, "" },
	{ "num_threads_1", num_threads_1, "OMP_NUM_THREADS=1" },
	{ "num_threads_8", num_threads_8, "OMP_NUM_THREADS=8" },
	{ "follow", follow, "OMP_NUM_THREADS=1 VIRTFLEX_THREADS=follow" },
	{ "list", list, "OMP_NUM_THREADS=2,3" },
	{ "thread_limit", thread_limit, "OMP_THREAD_LIMIT=1" },
	{ "dynamic", dynamic, "OMP_DYNAMIC=true" },
	{ "primaries", primaries, "" },
	{ "own", own, "" },
	{ "confined", confined, "" },
	{ "forks", forks, "" },
	{ "forks_from_team", forks_from_team, "" },
	{ "league", league, "" },
	{ "at_barrier", at_barrier, "" },
	{ "at_chunk", at_chunk, "" },
	{ "at_loop_end", at_loop_end, "" },
	{ "at_task", at_task, "" },
	{ "one_ahead", one_ahead, "" },
	{ "idle", idle, "OMP_WAIT_POLICY=active" },
};

static void set_environment(const char *environment)
{
	char text[128], *rest = text, *word;

	unsetenv("OMP_PLACES");
	unsetenv("OMP_PROC_BIND");
	unsetenv("OMP_NUM_THREADS");
	snprintf(text, sizeof text, "%s", environment);
	while ((word = strtok_r(rest, " ", &rest))) {
		char *value = strchr(word, '=');

		*value = '\0';
		CHECK(setenv(word, value + 1, 1) == 0);
	}
}

/* The runtime has read its environment by now: once more, with that of the
 * scenario, and with the page that this process publishes. */
int main(int argc, char **argv)
{
	CHECK(argc == 2 || argc == 3);
	for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
		if (strcmp(argv[1], scenarios[i].name) != 0)
			continue;
		if (argc == 2) {
			set_environment(scenarios[i].environment);
			publish(BOTH);
			if (scenarios[i].run == confined) {
				struct vfrt_cpus second = cpus_of(SECOND);

				set_own_mask(&second);
			}
			subject_again(argv);
		}
		subject_resume(argv[2]);
		scenarios[i].run();
		return 0;
	}
	fprintf(stderr, "special: unknown scenario\n");
	return 2;
}
