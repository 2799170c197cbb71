/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAS IS, written from its specification (The NAS Parallel Benchmarks,
 * RNR-94-007, section 2.7): ten rankings of integer keys by counting, two keys
 * changed before each.
 */
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nas_random.h"
#include "program.h"

#define RANKINGS 10
#define PROBES 5

struct is_class {
	char name;
	int log2_keys;
	int log2_values;
	/* Keys at these places must have these ranks, plus or minus the number of the ranking less `first`. */
	size_t place[PROBES];
	long rank[PROBES];
	int first;
	/* So many of the ranks rise, the others fall. */
	int rising;
};

static const struct is_class classes[] = {
	{ 'S', 16, 11, { 48427, 17148, 23627, 62548, 4431 }, { 0, 18, 346, 64917, 65463 }, 0, 3 },
	{ 'A', 23, 19, { 2112377, 662041, 5336171, 3642833, 4250760 },
	  { 104, 17523, 123928, 8288932, 8388264 }, 1, 3 },
};

static const struct is_class *class = &classes[0];

static bool take_class(const char *value)
{
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (value[0] == classes[i].name && value[1] == '\0') {
			class = &classes[i];
			return true;
		}
	return false;
}

static void make_keys(uint32_t *key, size_t keys, uint32_t values)
{
	uint64_t x = NAS_RANDOM_SEED;

#pragma omp parallel for
	for (size_t i = 0; i < keys; i++)
		key[i] = 0;
	for (size_t i = 0; i < keys; i++) {
		double sum = nas_random(&x);

		sum += nas_random(&x);
		sum += nas_random(&x);
		sum += nas_random(&x);
		key[i] = (uint32_t)(values / 4 * sum);
	}
}

/* below[v]: the number of keys less than v; below[values]: of all keys. */
static void rank_keys(const uint32_t *key, size_t keys, uint32_t values, uint32_t *below)
{
	uint32_t sum = 0;

	memset(below, 0, (values + 1) * sizeof *below);
#pragma omp parallel
	{
		uint32_t *count = program_memory(values, sizeof *count);

		memset(count, 0, values * sizeof *count);
#pragma omp for nowait
		for (size_t i = 0; i < keys; i++)
			count[key[i]]++;
		for (uint32_t v = 0; v < values; v++)
			if (count[v]) {
#pragma omp atomic
				below[v] += count[v];
			}
		free(count);
	}
	for (uint32_t v = 0; v <= values; v++) {
		uint32_t here = below[v];

		below[v] = sum;
		sum += here;
	}
}

static bool probes_right(const uint32_t *probed, const uint32_t *below, int ranking)
{
	int shift = ranking - class->first;

	for (int i = 0; i < PROBES; i++)
		if (below[probed[i]] != class->rank[i] + (i < class->rising ? shift : -shift))
			return false;
	return true;
}

/* Whether the ranks put the keys into order. */
static bool sorts(const uint32_t *key, size_t keys, uint32_t *below, uint32_t *sorted)
{
	size_t wrong = 0;

	for (size_t i = 0; i < keys; i++)
		sorted[below[key[i]]++] = key[i];
#pragma omp parallel for reduction(+ : wrong)
	for (size_t i = 1; i < keys; i++)
		wrong += sorted[i - 1] > sorted[i];
	return wrong == 0;
}

int main(int argc, char **argv)
{
	static const struct program_option own = { "--class", "S|A", "size (default S)",
						   take_class };
	struct program_run run = program_options(argc, argv, "NAS IS.", &own);
	size_t keys = (size_t)1 << class->log2_keys;
	uint32_t values = UINT32_C(1) << class->log2_values;
	uint32_t *key = program_memory(keys, sizeof *key);
	uint32_t *sorted = program_memory(keys, sizeof *sorted);
	uint32_t *below = program_memory(values + 1, sizeof *below);
	bool all_verified = true;

	while (program_goes_on(&run)) {
		bool verified = true;
		double seconds = 0;

		make_keys(key, keys, values);
		for (int ranking = 1; ranking <= RANKINGS; ranking++) {
			double begun = program_now();
			uint32_t probed[PROBES];

			key[ranking] = (uint32_t)ranking;
			key[ranking + RANKINGS] = values - (uint32_t)ranking;
			for (int i = 0; i < PROBES; i++)
				probed[i] = key[class->place[i]];
			rank_keys(key, keys, values, below);
			seconds += program_now() - begun;
			verified &= probes_right(probed, below, ranking);
		}
		verified &= sorts(key, keys, below, sorted);
		printf("repetition=%lu mkeys_per_second=%.3f verified=%s threads=%d seconds=%.6f\n",
		       run.done, 1e-6 * RANKINGS * (double)keys / seconds, verified ? "yes" : "no",
		       program_threads(), seconds);
		fflush(stdout);
		all_verified &= verified;
	}
	free(key);
	free(sorted);
	free(below);
	return all_verified ? 0 : 1;
}
