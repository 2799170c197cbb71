/* SPDX-License-Identifier: Apache-2.0 */
/* Ends as its first argument says; omp_get_max_threads makes it an OpenMP program. */
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	if (omp_get_max_threads() < 1)
		return 1;
	if (strcmp(how, "env") == 0)
		return printf("%s\n%s\n", getenv("LD_LIBRARY_PATH"), getenv("GIVEN")) < 0;
	if (strcmp(how, "abort") == 0)
		abort();
	if (strcmp(how, "stay") == 0) {
		/* With a child, and neither heeds SIGTERM. */
		signal(SIGTERM, SIG_IGN);
		printf("%d\n", fork());
		fflush(stdout);
		for (;;)
			pause();
	}
	return atoi(how);
}
