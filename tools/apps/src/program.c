/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CACHE_LINE 64

double program_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

bool program_number(const char *text, unsigned long least, unsigned long most,
		    unsigned long *number)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*number = strtoul(text, &end, 10);
	return errno == 0 && *end == '\0' && *number >= least && *number <= most;
}

static bool take_seconds(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	return end != text && *end == '\0' && isfinite(*seconds) && *seconds > 0;
}

static void usage(FILE *to, const char *name, const char *about, const struct program_option *own)
{
	fprintf(to,
		"Usage: %s [%s %s] [--repetitions N | --seconds T]\n%s\n\n"
		"  %s %s\t%s\n"
		"  --repetitions N\tso many times (default 1)\n"
		"  --seconds T\tuntil T seconds are over, at least once\n"
		"  --help\t\tthis text\n\n"
		"One line a repetition. Exit status: 0 verified, 1 not verified, 2 usage.\n",
		name, own->name, own->value_name, about, own->name, own->value_name, own->help);
}

static void refuse(const char *name, const char *option, const char *why)
{
	fprintf(stderr, "%s: %s: %s (try --help)\n", name, option, why);
	exit(2);
}

struct program_run program_options(int argc, char **argv, const char *about,
				   const struct program_option *own)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];
	struct program_run run = { 0 };

	for (int i = 1; i < argc; i += 2) {
		const char *option = argv[i], *value = argv[i + 1];
		bool ok;

		if (strcmp(option, "--help") == 0) {
			usage(stdout, name, about, own);
			exit(0);
		}
		if (strcmp(option, "--repetitions") != 0 && strcmp(option, "--seconds") != 0 &&
		    strcmp(option, own->name) != 0)
			refuse(name, option, "unknown argument");
		if (!value)
			refuse(name, option, "needs a value");
		if (strcmp(option, "--repetitions") == 0)
			ok = program_number(value, 1, ULONG_MAX, &run.repetitions);
		else if (strcmp(option, "--seconds") == 0)
			ok = take_seconds(value, &run.seconds);
		else
			ok = own->take(value);
		if (!ok) {
			char why[128];

			snprintf(why, sizeof why, "'%.80s' is not a valid value", value);
			refuse(name, option, why);
		}
	}
	if (run.repetitions && run.seconds > 0)
		refuse(name, "--repetitions", "excludes --seconds");
	if (!run.repetitions && !(run.seconds > 0))
		run.repetitions = 1;
	run.started = program_now();
	return run;
}

int program_threads(void)
{
	int threads = 0;

#pragma omp parallel
#pragma omp single
	threads = omp_get_num_threads();
	return threads;
}

bool program_goes_on(struct program_run *run)
{
	bool more = run->repetitions ? run->done < run->repetitions
				     : run->done == 0 || program_now() - run->started < run->seconds;

	run->done += more;
	return more;
}

void *program_memory(size_t count, size_t size)
{
	void *memory = NULL;

	if (count > SIZE_MAX / size || posix_memalign(&memory, CACHE_LINE, count * size) != 0) {
		fprintf(stderr, "out of memory: %zu elements of %zu bytes\n", count, size);
		exit(1);
	}
	return memory;
}
