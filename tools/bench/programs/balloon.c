// SPDX-License-Identifier: Apache-2.0
/*
 * For a guest of Xen, in which it measures Linux' own balloon, and move_pages(2).
 *
 *   balloon stock KIB          sets the stock balloon's target, waits for it: "ns N"
 *   balloon hold NODE MIB      has memory on a node, in 4 KiB pages, until killed: "ready"
 *   balloon move FROM TO MIB   moves as much from a node to another: "ns N"
 */
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STOCK "/sys/devices/system/xen_memory/xen_memory0/"
#define PAGE 4096UL

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long number(const char *path)
{
	FILE *file = fopen(path, "r");
	long long value;

	if (!file || fscanf(file, "%lld", &value) != 1)
		die(path);
	fclose(file);
	return value;
}

static void stock(long long target)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	FILE *file = fopen(STOCK "target_kb", "w");
	long long start = now();

	if (!file || fprintf(file, "%lld", target) < 0 || fclose(file))
		die(STOCK "target_kb");
	while (number(STOCK "info/current_kb") != target)
		nanosleep(&pause, NULL);
	printf("ns %lld\n", now() - start);
}

static char *on_node(unsigned int node, size_t bytes)
{
	unsigned long mask = 1UL << node;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		die("prctl");
	if (syscall(SYS_mbind, memory, bytes, MPOL_BIND, &mask, 64, 0))
		die("mbind");
	memset(memory, 1, bytes);
	return memory;
}

static void hold(unsigned int node, size_t bytes)
{
	on_node(node, bytes);
	puts("ready");
	fflush(stdout);
	pause();
}

static void move(unsigned int from, int to, size_t bytes)
{
	char *memory = on_node(from, bytes);
	size_t count = bytes / PAGE;
	void **pages = malloc(count * sizeof(*pages));
	int *nodes = malloc(count * sizeof(*nodes));
	int *status = malloc(count * sizeof(*status));
	long long start;

	for (size_t i = 0; i < count; i++) {
		pages[i] = memory + i * PAGE;
		nodes[i] = to;
		status[i] = -1;
	}
	start = now();
	if (syscall(SYS_move_pages, 0, count, pages, nodes, status, MPOL_MF_MOVE))
		die("move_pages");
	printf("ns %lld\n", now() - start);
	for (size_t i = 0; i < count; i++) {
		if (status[i] != to) {
			fprintf(stderr, "page %zu: status %d\n", i, status[i]);
			exit(1);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "stock"))
		stock(atoll(argv[2]));
	else if (argc == 4 && !strcmp(argv[1], "hold"))
		hold(atoi(argv[2]), atol(argv[3]) << 20);
	else if (argc == 5 && !strcmp(argv[1], "move"))
		move(atoi(argv[2]), atoi(argv[3]), atol(argv[4]) << 20);
	else
		return 2;
	return 0;
}
