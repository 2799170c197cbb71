/* SPDX-License-Identifier: Apache-2.0 */
/* Parallel regions without end. */
#include <unistd.h>

int main(void)
{
	for (;;) {
#pragma omp parallel
		usleep(1000);
	}
}
