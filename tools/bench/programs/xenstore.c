// SPDX-License-Identifier: Apache-2.0
/*
 * Reads of one key a second by plain libxenstore, one at a time.
 *
 *     xenstore KEY SECONDS      prints "reads NUMBER"
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <xenstore.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct xs_handle *xs = argc == 3 ? xs_open(0) : NULL;
	double took, start;
	long reads = 0;

	if (!xs)
		return 1;
	start = now();
	do {
		for (int i = 0; i < 100; i++, reads++) {
			void *value = xs_read(xs, XBT_NULL, argv[1], NULL);

			if (!value)
				return 1;
			free(value);
		}
		took = now() - start;
	} while (took < atof(argv[2]));
	printf("reads %f\n", reads / took);
	xs_close(xs);
	return 0;
}
