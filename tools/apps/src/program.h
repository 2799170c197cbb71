/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs share: their options, and how long they go on. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/* An option of one program alone, which takes a value. */
struct program_option {
	const char *name; /* with its dashes */
	const char *value_name;
	const char *help;
	/* Returns false where the value isn't one. */
	bool (*take)(const char *value);
};

struct program_run {
	unsigned long repetitions; /* 0: until the time is over */
	double seconds;
	double started;
	unsigned long done;
};

/* Monotonic, in seconds. */
double program_now(void);

/* A whole number from least to most. */
bool program_number(const char *text, unsigned long least, unsigned long most,
		    unsigned long *number);

/* Reads --repetitions N or --seconds T (default: one repetition), --help and
 * the program's own option.  Ends the program on --help (0) and on anything
 * that it doesn't understand (2). */
struct program_run program_options(int argc, char **argv, const char *about,
				   const struct program_option *own);

/* Whether to do another one; counts it. */
bool program_goes_on(struct program_run *run);

/* The size of a team that a parallel region gets now. */
int program_threads(void);

/* Memory, aligned for a cache line; ends the program (1) where there is none. */
void *program_memory(size_t count, size_t size);

#endif
