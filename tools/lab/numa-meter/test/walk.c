// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Known truth for the meter: a thread bound to one CPU walks memory bound to
 * one node, a load and a store to every line, and switches the meter around
 * just that. Before, it walks the same way uncounted, to have a time to compare.
 *
 *     walk CPU NODE MIB PASSES
 *
 * or, without arguments, a line of these four numbers after the other on
 * stdin once it has said "walk: ready", so that it serves as the one program of
 * an initramfs. Each is answered by a line
 *
 *     walked CPU NODE UNCOUNTED-NS COUNTED-NS
 *
 *
 * Linked statically at an address of its own, so that the meter can be told to
 * look at it alone (code=60000000-61000000). It calls next to nothing while it is counted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MPOL_BIND 2
#define METER_ON() __asm__ volatile(".byte 0x0f,0x1f,0x84,0x00,0x01,0x00,0x4d,0x4e" ::: "memory")
#define METER_OFF() __asm__ volatile(".byte 0x0f,0x1f,0x84,0x00,0x02,0x00,0x4d,0x4e" ::: "memory")

static void die(const char *what)
{
	fprintf(stderr, "walk: %s: %s\n", what, strerror(errno));
	exit(1);
}

struct walk {
	unsigned int cpu, node, mib, passes;
};

/* Whether the text is a walk that can be had. */
static bool parse(const char *text, struct walk *walk)
{
	char rest;

	return sscanf(text, "%u %u %u %u %c", &walk->cpu, &walk->node, &walk->mib,
		      &walk->passes, &rest) == 4 &&
	       walk->cpu < CPU_SETSIZE && walk->node < 64 && walk->mib && walk->mib < 1 << 20;
}

/* Nanoseconds of so many walks over all lines. */
static long long passes(volatile char *memory, size_t size, unsigned int count)
{
	struct timespec began, ended;

	clock_gettime(CLOCK_MONOTONIC, &began);
	while (count--)
		for (size_t i = 0; i < size; i += 64)
			memory[i]++;
	clock_gettime(CLOCK_MONOTONIC, &ended);
	return (ended.tv_sec - began.tv_sec) * 1000000000ll + ended.tv_nsec - began.tv_nsec;
}

static void run(const struct walk *walk)
{
	long long uncounted, counted;
	const size_t size = (size_t)walk->mib << 20;
	const unsigned long nodes[2] = { 1ul << walk->node, 0 };
	cpu_set_t set;
	volatile char *memory;

	CPU_ZERO(&set);
	CPU_SET(walk->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	if (syscall(SYS_mbind, memory, size, MPOL_BIND, nodes, 65ul, 0u))
		die("mbind");
	memset((char *)memory, 1, size);
	uncounted = passes(memory, size, walk->passes);
	METER_ON();
	counted = passes(memory, size, walk->passes);
	METER_OFF();
	munmap((char *)memory, size);
	printf("walked %u %u %lld %lld\n", walk->cpu, walk->node, uncounted, counted);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct walk walk;
	char line[64];

	if (argc == 5) {
		snprintf(line, sizeof(line), "%s %s %s %s", argv[1], argv[2], argv[3], argv[4]);
		if (parse(line, &walk)) {
			run(&walk);
			return 0;
		}
	}
	if (argc != 1) {
		fprintf(stderr, "usage: walk [CPU NODE MIB PASSES]\n");
		return 2;
	}
	/* What is typed before a serial line is open may be lost. */
	puts("walk: ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (!parse(line, &walk)) {
			fprintf(stderr, "walk: %s: not four numbers that fit\n", line);
			return 2;
		}
		run(&walk);
	}
	return 0;
}
