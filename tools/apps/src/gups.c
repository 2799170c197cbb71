/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RandomAccess (GUPS), written from the HPC Challenge specification: four times
 * as many updates as the table has words, T[a mod size] ^= a, where a runs
 * through x^k in GF(2)[x] / (x^64 + x^2 + x + 1).  Updates are atomic, so that
 * all of them count: done twice, they leave T[i] = i.
 */
#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "program.h"

#define DEFAULT_LOG2_SIZE 20ul
#define UPDATES_PER_WORD 4
#define REDUCTION UINT64_C(7)
/* Parts of the sequence, dealt out to the threads. */
#define STREAMS 1024

static unsigned long log2_size = DEFAULT_LOG2_SIZE;

static bool take_log2_size(const char *value)
{
	return program_number(value, 10, 40, &log2_size);
}

static uint64_t times_x(uint64_t a)
{
	return a << 1 ^ (a >> 63 ? REDUCTION : 0);
}

static uint64_t product(uint64_t a, uint64_t b)
{
	uint64_t sum = 0;

	for (; b; b >>= 1) {
		if (b & 1)
			sum ^= a;
		a = times_x(a);
	}
	return sum;
}

/* x^exponent */
static uint64_t power(uint64_t exponent)
{
	uint64_t result = 1, square = 2;

	for (; exponent; exponent >>= 1) {
		if (exponent & 1)
			result = product(result, square);
		square = product(square, square);
	}
	return result;
}

static void update(uint64_t *table, size_t size)
{
	size_t length = UPDATES_PER_WORD * size / STREAMS;

#pragma omp parallel for schedule(static)
	for (size_t stream = 0; stream < STREAMS; stream++) {
		uint64_t a = power(stream * length);

		for (size_t i = 0; i < length; i++) {
			a = times_x(a);
#pragma omp atomic
			table[a & (size - 1)] ^= a;
		}
	}
}

static size_t wrong(const uint64_t *table, size_t size)
{
	size_t count = 0;

#pragma omp parallel for reduction(+ : count)
	for (size_t i = 0; i < size; i++)
		count += table[i] != i;
	return count;
}

int main(int argc, char **argv)
{
	static const struct program_option own = {
		"--log2-size", "N", "words of the table: 2^N (default 20)", take_log2_size
	};
	struct program_run run = program_options(argc, argv, "RandomAccess.", &own);
	size_t size = (size_t)1 << log2_size;
	uint64_t *table = program_memory(size, sizeof *table);
	size_t all_wrong = 0;

#pragma omp parallel for
	for (size_t i = 0; i < size; i++)
		table[i] = i;
	while (program_goes_on(&run)) {
		double begun = program_now(), seconds;
		size_t count;

		update(table, size);
		seconds = program_now() - begun;
		update(table, size);
		count = wrong(table, size);
		printf("repetition=%lu gups=%.6f verified=%s threads=%d seconds=%.6f\n", run.done,
		       1e-9 * UPDATES_PER_WORD * (double)size / seconds, count ? "no" : "yes",
		       program_threads(), seconds);
		fflush(stdout);
		all_wrong += count;
	}
	free(table);
	return all_wrong ? 1 : 0;
}
