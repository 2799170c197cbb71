/* SPDX-License-Identifier: GPL-2.0 */
/* The least that a test needs: CHECK, and a count of what was checked. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

static unsigned long checks;

#define CHECK(condition, ...)							\
	do {									\
		checks++;							\
		if (!(condition)) {						\
			fprintf(stderr, "%s:%d: %s\n  ", __FILE__, __LINE__, #condition); \
			fprintf(stderr, "" __VA_ARGS__);			\
			fprintf(stderr, "\n");					\
			exit(1);						\
		}								\
	} while (0)

static inline int passed(void)
{
	if (!checks)
		return 1;
	printf("%lu checks\n", checks);
	return 0;
}

#endif
