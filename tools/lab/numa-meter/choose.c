// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs in a guest, on each of its vCPUs in turn: this guest is to be counted (plugin.c). */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define METER_CHOOSE() \
	__asm__ volatile(".byte 0x0f,0x1f,0x84,0x00,0x03,0x00,0x4d,0x4e" ::: "memory")

int main(void)
{
	unsigned int chosen = 0;
	cpu_set_t set;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			continue;
		METER_CHOOSE();
		chosen++;
	}
	if (!chosen) {
		fprintf(stderr, "choose: sched_setaffinity: %s\n", strerror(errno));
		return 1;
	}
	printf("%u\n", chosen);
	return 0;
}
