// SPDX-License-Identifier: Apache-2.0
/*
 * Nanoseconds that a look for a new topology costs: our load from the page, and
 * the ways that others take. Each is measured in the same loop.
 *
 *     poll PAGE     prints "NAME NS" a line
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <virtflex/topology_page.h>

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

#define MEASURE(name, count, statement)                                       \
	do {                                                                  \
		double least = 1e18;                                          \
		for (int sample = 0; sample < 31; sample++) {                 \
			const double start = now_ns();                        \
			double each;                                          \
			for (int i = 0; i < (count); i++)                     \
				statement;                                    \
			each = (now_ns() - start) / (count);                  \
			if (each < least)                                     \
				least = each;                                 \
		}                                                             \
		printf("%s %.3f\n", name, least);                             \
	} while (0)

static void open_read_close(const char *path)
{
	char buffer[128];
	const int file = open(path, O_RDONLY);

	if (file < 0 || read(file, buffer, sizeof(buffer)) < 0)
		_exit(1);
	close(file);
}

int main(int argc, char **argv)
{
	const struct virtflex_topology_page *page;
	int file;
	uint64_t seen;
	volatile unsigned int changes = 0;

	if (argc != 2 || (file = open(argv[1], O_RDONLY)) < 0) {
		fprintf(stderr, "usage: poll PAGE\n");
		return 2;
	}
	page = mmap(NULL, VIRTFLEX_PAGE_SIZE, PROT_READ, MAP_SHARED, file, 0);
	if (page == MAP_FAILED) {
		perror(argv[1]);
		return 1;
	}
	seen = __atomic_load_n(&page->generation, __ATOMIC_RELAXED);
	MEASURE("loop", 1000000, __asm__ volatile(""));
	MEASURE("page", 1000000,
		if (__atomic_load_n(&page->generation, __ATOMIC_RELAXED) != seen) changes = changes + 1);
	MEASURE("system-call", 100000, syscall(SYS_getppid));
	MEASURE("open-read-close", 20000, open_read_close("/proc/version"));
	return 0;
}
