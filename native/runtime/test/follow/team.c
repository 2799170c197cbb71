/* SPDX-License-Identifier: Apache-2.0 */
/* A plug-in that uses OpenMP. */
#include <omp.h>

int team_size(void);

int team_size(void)
{
	int size = 0;

#pragma omp parallel
#pragma omp master
	size = omp_get_num_threads();
	return size;
}
