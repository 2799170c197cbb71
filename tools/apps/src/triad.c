/* SPDX-License-Identifier: Apache-2.0 */
/* a = b + s c, bound by memory, as in McCalpin's STREAM; each result is checked. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "program.h"

#define DEFAULT_ELEMENTS 4000000ul
#define PASSES 10

static unsigned long elements = DEFAULT_ELEMENTS;

static bool take_elements(const char *value)
{
	return program_number(value, 1, 1ul << 40, &elements);
}

/* Small whole numbers, so that the sums are exact. */
static double b_of(size_t i)
{
	return (double)(i % 1000);
}

static double c_of(size_t i)
{
	return (double)(i % 7);
}

static int triad(double *a, const double *b, const double *c, double scalar)
{
	int threads = 1;

#pragma omp parallel
	{
#pragma omp master
		threads = omp_get_num_threads();
#pragma omp for
		for (size_t i = 0; i < elements; i++)
			a[i] = b[i] + scalar * c[i];
	}
	return threads;
}

static size_t wrong(const double *a, double scalar)
{
	size_t count = 0;

#pragma omp parallel for reduction(+ : count)
	for (size_t i = 0; i < elements; i++)
		count += a[i] != b_of(i) + scalar * c_of(i);
	return count;
}

int main(int argc, char **argv)
{
	static const struct program_option own = { "--elements", "N",
						   "of each array (default 4000000)",
						   take_elements };
	struct program_run run = program_options(argc, argv, "a = b + s c.", &own);
	double *a = program_memory(elements, sizeof *a);
	double *b = program_memory(elements, sizeof *b);
	double *c = program_memory(elements, sizeof *c);
	size_t all_wrong = 0;

#pragma omp parallel for
	for (size_t i = 0; i < elements; i++) {
		a[i] = 0;
		b[i] = b_of(i);
		c[i] = c_of(i);
	}
	while (program_goes_on(&run)) {
		double begun = program_now(), seconds, scalar = 1;
		int threads = 1;
		size_t count;

		for (int pass = 0; pass < PASSES; pass++) {
			scalar = (double)(run.done % 100 + (unsigned)pass);
			threads = triad(a, b, c, scalar);
		}
		seconds = program_now() - begun;
		count = wrong(a, scalar);
		printf("repetition=%lu gbytes_per_second=%.3f verified=%s threads=%d seconds=%.6f\n",
		       run.done, 3e-9 * PASSES * sizeof *a * (double)elements / seconds,
		       count ? "no" : "yes", threads, seconds);
		fflush(stdout);
		all_wrong += count;
	}
	free(a);
	free(b);
	free(c);
	return all_wrong ? 1 : 0;
}
