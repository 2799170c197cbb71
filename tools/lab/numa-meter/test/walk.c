// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Known truth for the meter: a thread bound to one CPU walks memory bound to
 * one node, a load and a store to every line, and switches the meter around
 * just that.
 *
 *     walk CPU NODE MIB PASSES
 *
 * Linked statically at an address of its own, so that the meter can be told to
 * look at it alone (code=60000000-61000000). It calls nothing while it walks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MPOL_BIND 2
#define METER_ON() __asm__ volatile(".byte 0x0f,0x1f,0x84,0x00,0x01,0x00,0x4d,0x4e" ::: "memory")
#define METER_OFF() __asm__ volatile(".byte 0x0f,0x1f,0x84,0x00,0x02,0x00,0x4d,0x4e" ::: "memory")

static void die(const char *what)
{
	fprintf(stderr, "walk: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value > 1 << 20) {
		fprintf(stderr, "walk: %s: not a number that fits\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: walk CPU NODE MIB PASSES\n");
		return 2;
	}
	const unsigned long cpu = number(argv[1]), node = number(argv[2]);
	const size_t size = number(argv[3]) << 20;
	const unsigned long passes = number(argv[4]);
	unsigned long nodes[2] = { 1ul << node, 0 };
	cpu_set_t set;
	volatile char *memory;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	if (syscall(SYS_mbind, memory, size, MPOL_BIND, nodes, 65ul, 0u))
		die("mbind");
	memset((char *)memory, 1, size);
	METER_ON();
	for (unsigned long pass = 0; pass < passes; pass++)
		for (size_t i = 0; i < size; i += 64)
			memory[i]++;
	METER_OFF();
	return 0;
}
