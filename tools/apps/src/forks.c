/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that forks between its parallel regions: the child counts alone,
 * while the parent's team does the same, and both must come to the same sum.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"

#define DEFAULT_ELEMENTS 1000000ul

static unsigned long elements = DEFAULT_ELEMENTS;

static bool take_elements(const char *value)
{
	return program_number(value, 1, 1ul << 31, &elements);
}

static unsigned long right_sum(void)
{
	return elements * (elements - 1) / 2;
}

static unsigned long sum_alone(void)
{
	volatile unsigned long sum = 0;

	for (unsigned long i = 0; i < elements; i++)
		sum += i;
	return sum;
}

static unsigned long sum_together(int *threads)
{
	unsigned long sum = 0;

#pragma omp parallel reduction(+ : sum)
	{
#pragma omp master
		*threads = omp_get_num_threads();
#pragma omp for
		for (unsigned long i = 0; i < elements; i++)
			sum += i;
	}
	return sum;
}

int main(int argc, char **argv)
{
	static const struct program_option own = { "--elements", "N",
						   "to add up (default 1000000)", take_elements };
	struct program_run run =
		program_options(argc, argv, "Forks, and adds up in both processes.", &own);
	int wrong = 0;

	while (!wrong && program_goes_on(&run)) {
		double begun = program_now();
		int threads = 1, status;
		pid_t child = fork();

		if (child < 0) {
			perror("fork");
			return 1;
		}
		if (child == 0)
			_exit(sum_alone() != right_sum());
		wrong = sum_together(&threads) != right_sum();
		wrong |= waitpid(child, &status, 0) != child || status != 0;
		printf("repetition=%lu verified=%s threads=%d seconds=%.6f\n", run.done,
		       wrong ? "no" : "yes", threads, program_now() - begun);
		fflush(stdout);
	}
	return wrong;
}
