/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for a runtime, or for a library that uses one. */
#include <stddef.h>

#ifdef _OPENMP
#include <omp.h>
int library(void)
{
	return omp_get_max_threads();
}
#else
int library(void)
{
	return 0;
}
#endif
