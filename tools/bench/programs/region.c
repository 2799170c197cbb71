// SPDX-License-Identifier: Apache-2.0
/*
 * Nanoseconds of one empty OpenMP construct, in the manner of EPCC's syncbench:
 * the least of many samples, as anything else on the machine only adds.
 *
 *     region SAMPLES INNER HEAP     prints "parallel NS", "for NS", "barrier NS", "task NS"
 *
 * HEAP bytes are allocated before the first region and after it: they move what the
 * runtime allocates, its pool of threads and then its teams.
 */
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Smaller than a team, and enough of them. */
#define BLOCK_SIZE 1024
#define BLOCKS 64

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

__attribute__((noinline)) static void body(int i)
{
	__asm__ volatile("" : : "r"(i));
}

static void regions(int inner)
{
	for (int i = 0; i < inner; i++) {
#pragma omp parallel
		body(i);
	}
}

static void loops(int inner)
{
#pragma omp parallel
	for (int i = 0; i < inner; i++) {
#pragma omp for schedule(static)
		for (int k = 0; k < omp_get_num_threads(); k++)
			body(k);
	}
}

static void barriers(int inner)
{
#pragma omp parallel
	for (int i = 0; i < inner; i++) {
#pragma omp barrier
		body(i);
	}
}

/* Each thread makes so many. */
static void tasks(int inner)
{
#pragma omp parallel
	for (int i = 0; i < inner; i++) {
#pragma omp task
		body(i);
	}
}

static void measure(const char *name, void (*construct)(int), int samples, int inner)
{
	double least = 1e18;

	construct(inner);
	for (int i = 0; i < samples; i++) {
		const double start = now_ns();
		double each;

		construct(inner);
		each = (now_ns() - start) / inner;
		if (each < least)
			least = each;
	}
	printf("%s %.3f\n", name, least);
}

/* What the runtime did to start has left blocks free, others with a page than without;
 * where a team fits into one, malloc takes longer, and did not in another run. */
static bool fill_heap(int more)
{
	void *volatile taken = malloc(more);

	regions(1);
	for (int i = 0; i < BLOCKS; i++)
		taken = malloc(BLOCK_SIZE);
	if (taken)
		taken = malloc(more);
	return taken != NULL;
}

int main(int argc, char **argv)
{
	const int samples = argc == 4 ? atoi(argv[1]) : 0;
	const int inner = argc == 4 ? atoi(argv[2]) : 0;
	const int heap = argc == 4 ? atoi(argv[3]) : 0;

	if (samples < 1 || inner < 1 || heap < 1) {
		fprintf(stderr, "usage: region SAMPLES INNER HEAP\n");
		return 2;
	}
	if (!fill_heap(heap))
		return 1;
	measure("parallel", regions, samples, inner);
	measure("for", loops, samples, inner);
	measure("barrier", barriers, samples, inner);
	measure("task", tasks, samples, inner);
	return 0;
}
