/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the size of its team, a line each 10 ms; ends after as many lines as its argument says. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int i = 0; argc < 2 || i < atoi(argv[1]); i++) {
		int threads = 0;

#pragma omp parallel reduction(+ : threads)
		threads++;
		printf("threads=%d\n", threads);
		fflush(stdout);
		usleep(10000);
	}
	return 0;
}
