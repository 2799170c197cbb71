/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain OpenMP program for follow.c to watch: for each line "ROUNDS" on its
 * input it enters so many parallel regions by one kind of construct, then says
 * how many threads the last team had, whether every result was right, and the
 * thread ids in order of thread number.  Between lines it is in serial code.
 */
#include <omp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_THREADS 64
#define ITERATIONS 256
#define SUM (ITERATIONS * (ITERATIONS - 1) / 2)

static struct {
	int threads;
	int tickets;
	long tid[MAX_THREADS];
} team;

static void note(void)
{
	int thread = omp_get_thread_num();

	if (thread < MAX_THREADS)
		team.tid[thread] = syscall(SYS_gettid);
	__atomic_store_n(&team.threads, omp_get_num_threads(), __ATOMIC_RELAXED);
}

/* Returns i, once every thread of the team has one: else a fast thread could
 * take all the iterations of a loop, and the others would go unnoticed. */
static long item(long i)
{
	int threads = omp_get_num_threads();

	note();
	if (__atomic_fetch_add(&team.tickets, 1, __ATOMIC_RELAXED) < threads)
		while (__atomic_load_n(&team.tickets, __ATOMIC_RELAXED) < threads)
			sched_yield();
	return i;
}

/* Not a reduction: with one, GCC doesn't make one call of region and loop. */
static void add(long *sum, long value)
{
	__atomic_fetch_add(sum, value, __ATOMIC_RELAXED);
}

static long with_parallel(void)
{
	long sum = 0;

#pragma omp parallel reduction(+ : sum)
	{
		note();
#pragma omp for
		for (long i = 0; i < ITERATIONS; i++)
			sum += i;
	}
	return sum;
}

/* A loop of each schedule is an entry of its own. */
#define PRAGMA(text) _Pragma(#text)
#define LOOP(name, ...)                                           \
	static long with_##name(void)                             \
	{                                                         \
		long sum = 0;                                     \
                                                                  \
		PRAGMA(omp parallel for schedule(__VA_ARGS__))    \
		for (long i = 0; i < ITERATIONS; i++)             \
			add(&sum, item(i));                       \
		return sum;                                       \
	}

LOOP(static, static)
LOOP(dynamic, dynamic)
LOOP(monotonic, monotonic : dynamic, 4)
LOOP(guided, guided)
LOOP(runtime, runtime)
LOOP(monotonic_guided, monotonic : guided, 4)
LOOP(monotonic_runtime, monotonic : runtime)
LOOP(nonmonotonic_runtime, nonmonotonic : runtime)

static long with_ordered(void)
{
	long sum = 0;

#pragma omp parallel for ordered schedule(static, 1)
	for (long i = 0; i < ITERATIONS; i++) {
		note();
#pragma omp ordered
		sum += i;
	}
	return sum;
}

static long quarter(int which)
{
	long sum = 0;

	item(0);
	for (long i = which; i < ITERATIONS; i += 4)
		sum += i;
	return sum;
}

static long with_sections(void)
{
	long sum = 0;

#pragma omp parallel sections
	{
#pragma omp section
		add(&sum, quarter(0));
#pragma omp section
		add(&sum, quarter(1));
#pragma omp section
		add(&sum, quarter(2));
#pragma omp section
		add(&sum, quarter(3));
	}
	return sum;
}

static long with_reductions(void)
{
	long sum = 0;

#pragma omp parallel reduction(task, + : sum)
	{
		note();
#pragma omp for
		for (long i = 0; i < ITERATIONS; i++) {
#pragma omp task in_reduction(+ : sum)
			sum += i;
		}
	}
	return sum;
}

static long with_tasks(void)
{
	long sum = 0;

#pragma omp parallel
	{
		note();
#pragma omp single
		for (long i = 0; i < ITERATIONS; i++) {
#pragma omp task shared(sum)
#pragma omp atomic
			sum += i;
		}
	}
	return sum;
}

static long with_teams(void)
{
	long sum = 0;

#pragma omp teams num_teams(1) thread_limit(MAX_THREADS) reduction(+ : sum)
	sum += with_parallel();
	return sum;
}

static long with_nested(void)
{
	long sum = 0;

#pragma omp parallel reduction(+ : sum)
	{
		long inner = 0;

		note();
#pragma omp for
		for (int part = 0; part < 4; part++) {
#pragma omp parallel for reduction(+ : inner) num_threads(2)
			for (long i = part; i < ITERATIONS; i += 4)
				inner += i;
		}
		sum += inner;
	}
	return sum;
}

/* What GCC emitted before 4.9, or never did, which both runtimes still export. */
typedef void body(void *);

void GOMP_parallel_start(body *, void *, unsigned);
void GOMP_parallel_end(void);
void GOMP_parallel_loop_static(body *, void *, unsigned, long, long, long, long, unsigned);
void GOMP_parallel_loop_static_start(body *, void *, unsigned, long, long, long, long);
void GOMP_parallel_loop_dynamic_start(body *, void *, unsigned, long, long, long, long);
void GOMP_parallel_loop_guided_start(body *, void *, unsigned, long, long, long, long);
void GOMP_parallel_loop_runtime_start(body *, void *, unsigned, long, long, long);
void GOMP_parallel_sections_start(body *, void *, unsigned, unsigned);
bool GOMP_loop_static_next(long *, long *);
bool GOMP_loop_dynamic_next(long *, long *);
bool GOMP_loop_guided_next(long *, long *);
bool GOMP_loop_runtime_next(long *, long *);
void GOMP_loop_end_nowait(void);
unsigned GOMP_sections_next(void);
void GOMP_sections_end_nowait(void);

static void note_and_add(void *data)
{
	int thread = omp_get_thread_num(), threads = omp_get_num_threads();
	long mine = 0;

	note();
	for (long i = thread; i < ITERATIONS; i += threads)
		mine += i;
	add(data, mine);
}

static long with_parallel_start(void)
{
	long sum = 0;

	GOMP_parallel_start(note_and_add, &sum, 0);
	note_and_add(&sum);
	GOMP_parallel_end();
	return sum;
}

static void take_chunks(long *sum, bool (*next)(long *, long *))
{
	long from, to, mine = 0;

	note();
	while (next(&from, &to))
		for (long i = from; i < to; i++)
			mine += item(i);
	GOMP_loop_end_nowait();
	add(sum, mine);
}

static void static_chunks(void *sum)
{
	take_chunks(sum, GOMP_loop_static_next);
}

static void dynamic_chunks(void *sum)
{
	take_chunks(sum, GOMP_loop_dynamic_next);
}

static void guided_chunks(void *sum)
{
	take_chunks(sum, GOMP_loop_guided_next);
}

static void runtime_chunks(void *sum)
{
	take_chunks(sum, GOMP_loop_runtime_next);
}

static long with_loop_static(void)
{
	long sum = 0;

	GOMP_parallel_loop_static(static_chunks, &sum, 0, 0, ITERATIONS, 1, 1, 0);
	return sum;
}

typedef void start(body *, void *, unsigned, long, long, long, long);

static long with_loop_start(start *start, body *chunks)
{
	long sum = 0;

	start(chunks, &sum, 0, 0, ITERATIONS, 1, 1);
	chunks(&sum);
	GOMP_parallel_end();
	return sum;
}

static long with_static_start(void)
{
	return with_loop_start(GOMP_parallel_loop_static_start, static_chunks);
}

static long with_dynamic_start(void)
{
	return with_loop_start(GOMP_parallel_loop_dynamic_start, dynamic_chunks);
}

static long with_guided_start(void)
{
	return with_loop_start(GOMP_parallel_loop_guided_start, guided_chunks);
}

static long with_runtime_start(void)
{
	long sum = 0;

	GOMP_parallel_loop_runtime_start(runtime_chunks, &sum, 0, 0, ITERATIONS, 1);
	runtime_chunks(&sum);
	GOMP_parallel_end();
	return sum;
}

static void take_sections(void *data)
{
	unsigned section;

	note();
	while ((section = GOMP_sections_next()) != 0)
		add(data, quarter((int)section - 1));
	GOMP_sections_end_nowait();
}

static long with_sections_start(void)
{
	long sum = 0;

	GOMP_parallel_sections_start(take_sections, &sum, 0, 4);
	take_sections(&sum);
	GOMP_parallel_end();
	return sum;
}

static const struct {
	const char *name;
	long (*run)(void);
} entries[] = {
	{ "parallel", with_parallel },
	{ "static", with_static },
	{ "dynamic", with_dynamic },
	{ "monotonic", with_monotonic },
	{ "guided", with_guided },
	{ "runtime", with_runtime },
	{ "monotonic_guided", with_monotonic_guided },
	{ "monotonic_runtime", with_monotonic_runtime },
	{ "nonmonotonic_runtime", with_nonmonotonic_runtime },
	{ "ordered", with_ordered },
	{ "sections", with_sections },
	{ "reductions", with_reductions },
	{ "tasks", with_tasks },
	{ "teams", with_teams },
	{ "nested", with_nested },
	{ "parallel_start", with_parallel_start },
	{ "loop_static", with_loop_static },
	{ "static_start", with_static_start },
	{ "dynamic_start", with_dynamic_start },
	{ "guided_start", with_guided_start },
	{ "runtime_start", with_runtime_start },
	{ "sections_start", with_sections_start },
};

int main(int argc, char **argv)
{
	long (*run)(void) = NULL;
	char line[32];

	for (size_t i = 0; argc > 1 && i < sizeof entries / sizeof *entries; i++)
		if (strcmp(argv[1], entries[i].name) == 0)
			run = entries[i].run;
	if (!run) {
		fprintf(stderr, "follower: which entry?\n");
		return 2;
	}
	if (argc > 2)
		omp_set_num_threads(atoi(argv[2]));
	while (fgets(line, sizeof line, stdin)) {
		bool right = true;

		for (long rounds = atol(line); rounds > 0; rounds--) {
			team.tickets = 0;
			right &= run() == SUM;
		}
		printf("%d %s", team.threads, right ? "right" : "wrong");
		for (int i = 0; i < team.threads && i < MAX_THREADS; i++)
			printf(" %ld", team.tid[i]);
		printf("\n");
		fflush(stdout);
	}
	return 0;
}
