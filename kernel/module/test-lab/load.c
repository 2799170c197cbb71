// SPDX-License-Identifier: GPL-2.0
/*
 * Programs for a guest whose topology changes under them.
 *
 *   load hog MIB          fills memory with a pattern and checks it for ever
 *   load cache FILE MIB   writes a file and checks it for ever
 *   load forks            starts processes that touch a megabyte, for ever
 *   load pipes MIB        fills pipes: kernel memory that nobody can move
 *   load offer DOMID N    grants N pages to domain DOMID and prints their references
 *   load map DOMID REF... maps pages of domain DOMID, fills them with a pattern and checks it
 *                         for ever
 *   load runtime          follows /proc/virtflex/topology and acknowledges
 *   load stubborn         has it open and does nothing
 *   load abuse            does what it must not; status 0 if all was refused
 *
 * "ready" on stdout once what is asked for is there; then until killed.
 * Status 2: the pattern was not what had been written.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Which <xen/gntdev.h> takes for granted. */
typedef uint32_t grant_ref_t;
typedef uint16_t domid_t;

#include <xen/gntalloc.h>
#include <xen/gntdev.h>

#include <virtflex/topology_page.h>

#define MIB (1UL << 20)

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

static uint64_t pattern(uint64_t i, uint64_t round)
{
	return (i ^ round << 40) * 0x9e3779b97f4a7c15ULL;
}

/* One word a cache line: what a lost page can't keep, and quick enough. */
static void check(volatile uint64_t *memory, size_t bytes)
{
	const size_t step = 64 / sizeof(*memory);
	size_t i, words = bytes / sizeof(*memory);
	uint64_t round = 0;

	for (i = 0; i < words; i += step)
		memory[i] = pattern(i, round);
	ready();
	for (;; round++) {
		for (i = 0; i < words; i += step) {
			if (memory[i] != pattern(i, round)) {
				fprintf(stderr, "word %zu of round %lu is lost\n", i, (long)round);
				exit(2);
			}
			memory[i] = pattern(i, round + 1);
		}
		usleep(20000);
	}
}

static void hog(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	check(memory, bytes);
}

static void cache(const char *path, size_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	void *memory;

	if (fd < 0 || ftruncate(fd, bytes))
		die(path);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	unlink(path);
	check(memory, bytes);
}

static void forks(void)
{
	ready();
	for (;;) {
		for (int i = 0; i < 8; i++) {
			pid_t pid = fork();

			if (pid < 0)
				break;
			if (!pid) {
				memset(malloc(MIB), i, MIB);
				_exit(0);
			}
		}
		while (waitpid(-1, NULL, 0) > 0)
			;
	}
}

static void pipes(size_t bytes)
{
	static char page[64 * 1024];
	int fds[2];

	for (size_t left = bytes; left;) {
		if (pipe2(fds, O_NONBLOCK))
			die("pipe");
		fcntl(fds[1], F_SETPIPE_SZ, MIB);
		while (left && write(fds[1], page, sizeof(page)) > 0)
			left -= left < sizeof(page) ? left : sizeof(page);
	}
	ready();
	pause();
}

static int device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

static void *map(int fd, size_t bytes, uint64_t offset)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	if (memory == MAP_FAILED)
		die("mmap of granted pages");
	return memory;
}

static void offer(unsigned int domain, unsigned int count)
{
	struct ioctl_gntalloc_alloc_gref *offered = calloc(1, sizeof(*offered) + 4 * count);
	int fd = device("/dev/xen/gntalloc");

	offered->domid = domain;
	offered->flags = GNTALLOC_FLAG_WRITABLE;
	offered->count = count;
	if (ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, offered))
		die("IOCTL_GNTALLOC_ALLOC_GREF");
	map(fd, count * 4096, offered->index);
	for (unsigned int i = 0; i < count; i++)
		printf("%u%c", offered->gref_ids[i], i + 1 < count ? ' ' : '\n');
	ready();
	pause();
}

/* The page frames that a grant is mapped at come from the stock balloon, or from where it gets its own. */
static void mapped(unsigned int domain, unsigned int count, char **refs)
{
	struct ioctl_gntdev_map_grant_ref *use = calloc(1, sizeof(*use) + sizeof(*use->refs) * count);
	int fd = device("/dev/xen/gntdev");

	use->count = count;
	for (unsigned int i = 0; i < count; i++) {
		use->refs[i].domid = domain;
		use->refs[i].ref = strtoul(refs[i], NULL, 10);
	}
	if (ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, use))
		die("IOCTL_GNTDEV_MAP_GRANT_REF");
	check(map(fd, count * 4096, use->index), count * 4096);
}

static void acknowledge(int fd, uint64_t generation)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%lu\n", (long)generation);

	if (write(fd, text, n) != n)
		die("acknowledge");
}

static void runtime(void)
{
	const volatile struct virtflex_topology_page *page;
	int fd = open(VIRTFLEX_TOPOLOGY_PROC, O_RDWR | O_CLOEXEC);
	struct pollfd waiter = { .fd = fd, .events = POLLPRI };

	if (fd < 0)
		die(VIRTFLEX_TOPOLOGY_PROC);
	page = mmap(NULL, VIRTFLEX_PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		die("mmap");
	if (page->magic != VIRTFLEX_PAGE_MAGIC || page->abi != VIRTFLEX_PAGE_ABI ||
	    page->page_size != VIRTFLEX_PAGE_SIZE)
		exit(2);
	ready();
	for (;;) {
		if (poll(&waiter, 1, -1) != 1)
			die("poll");
		if (waiter.revents & POLLPRI)
			acknowledge(fd, page->generation);
	}
}

static void stubborn(void)
{
	if (open(VIRTFLEX_TOPOLOGY_PROC, O_RDWR) < 0)
		die(VIRTFLEX_TOPOLOGY_PROC);
	ready();
	pause();
}

static int failures;

static void expect(int ok, const char *what)
{
	if (ok)
		return;
	failures++;
	printf("not refused as it should be: %s (%s)\n", what, strerror(errno));
}

static void refused(int fd, const char *text, size_t len, const char *what)
{
	errno = 0;
	expect(write(fd, text, len) == -1 && errno == (text ? EINVAL : EFAULT), what);
}

static void maps(int fd)
{
	void *p = mmap(NULL, VIRTFLEX_PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);

	expect(p != MAP_FAILED, "a map to read (which should work)");
	expect(mprotect(p, VIRTFLEX_PAGE_SIZE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES,
	       "mprotect to write");
	munmap(p, VIRTFLEX_PAGE_SIZE);
	expect(mmap(NULL, VIRTFLEX_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
	       MAP_FAILED && errno == EACCES, "a map to write");
	expect(mmap(NULL, VIRTFLEX_PAGE_SIZE, PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED &&
	       errno == EACCES, "a private map to write");
	expect(mmap(NULL, 2 * VIRTFLEX_PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED,
	       "a map of more than there is");
	expect(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 1UL << 40) == MAP_FAILED,
	       "a map behind the end");
}

static int abuse(void)
{
	static const char *const garbage[] = {
		"", "\n", "x", "-1", "1 ", "1\n\n", "99999999", "18446744073709551615", "0x1",
	};
	static char large[1 << 16];
	int fds[1000];

	for (int i = 0; i < 1000; i++) {
		fds[i] = open(VIRTFLEX_TOPOLOGY_PROC, O_RDWR);
		if (fds[i] < 0)
			die("open, many times");
	}
	for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++)
		if (*garbage[i])
			refused(fds[i], garbage[i], strlen(garbage[i]), garbage[i]);
	memset(large, '1', sizeof(large));
	refused(fds[9], large, sizeof(large), "64 KiB");
	refused(fds[9], NULL, 3, "no buffer");
	maps(fds[10]);

	for (int i = 0; i < 64; i++) {
		if (fork())
			continue;
		/* Dies with the file and its map open. */
		mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[i], 0);
		raise(SIGKILL);
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
	return failures != 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	const char *last = argv[argc - 1];

	if (!strcmp(what, "hog") && argc == 3)
		hog(strtoul(last, NULL, 10) * MIB);
	else if (!strcmp(what, "cache") && argc == 4)
		cache(argv[2], strtoul(last, NULL, 10) * MIB);
	else if (!strcmp(what, "forks"))
		forks();
	else if (!strcmp(what, "pipes") && argc == 3)
		pipes(strtoul(last, NULL, 10) * MIB);
	else if (!strcmp(what, "offer") && argc == 4)
		offer(strtoul(argv[2], NULL, 10), strtoul(last, NULL, 10));
	else if (!strcmp(what, "map") && argc > 3)
		mapped(strtoul(argv[2], NULL, 10), argc - 3, argv + 3);
	else if (!strcmp(what, "runtime"))
		runtime();
	else if (!strcmp(what, "stubborn"))
		stubborn();
	else if (!strcmp(what, "abuse"))
		return abuse();
	fprintf(stderr, "load: unknown command\n");
	return 1;
}
