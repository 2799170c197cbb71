/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fuzz NUMBER CALLS [SEED]: migrate_next_touch(), which is system call NUMBER, with
 * arguments good and bad, by several threads of several processes that map, unmap,
 * protect, fork, touch, lock, split and move memory meanwhile, and are killed now
 * and then.  Shows nothing by itself: what counts is the kernel's log.  Checks that
 * no call fails in a way that isn't documented, that flags are refused, and that
 * what was written to memory is still there.
 * Prints how many calls were made and how each ended; status 1 after a wrong one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 4
#define CALLERS 2	/* threads of a process that call */
#define MUTATORS 2	/* and that change its memory */
#define AREAS 16
#define AREA_BYTES ((size_t)4 << 20)
#define ERRORS 64
#define NOBODY 65534

static long number;

/* Shared by all processes. */
static struct shared {
	atomic_ulong calls, wrong, lost, ended[ERRORS];
	unsigned long wanted;
	atomic_int pid[PROCESSES];
} *shared;

struct random {
	uint64_t state;
};

static uint64_t next(struct random *random)
{
	random->state ^= random->state << 13;
	random->state ^= random->state >> 7;
	random->state ^= random->state << 17;
	return random->state;
}

static unsigned below(struct random *random, unsigned limit)
{
	return (unsigned)(next(random) >> 33) % limit;
}

static char *area[AREAS];

/* All stacks and the keeper's memory are there before any area leaves a hole that
 * they could fill. */
static pthread_barrier_t ready;

static pid_t any_pid(struct random *random)
{
	switch (below(random, 8)) {
	case 0:
		return (pid_t)next(random);
	case 1:
		return 1;
	case 2:
		return getppid();
	case 3:
	case 4:
		return atomic_load(&shared->pid[below(random, PROCESSES)]);
	default:
		return 0;
	}
}

static const void *any_pointer(struct random *random, const void *good)
{
	switch (below(random, 16)) {
	case 0:
		return NULL;
	case 1:
		return (const void *)(uintptr_t)next(random);
	case 2:
		return area[below(random, AREAS)] + AREA_BYTES - 1;
	default:
		return good;
	}
}

static void call(struct random *random)
{
	uint64_t nodes[2] = { next(random), 0 }, result[4] = { 0, 0, 0, 42 };
	unsigned long maxnode = 65;
	unsigned flags = below(random, 32) ? 0 : (unsigned)next(random);
	const void *to;
	int error;

	if (below(random, 4))
		nodes[0] = 1 + below(random, 15);
	if (!below(random, 16))
		maxnode = below(random, 2) ? below(random, 130) : next(random);
	to = any_pointer(random, result);
	error = syscall(number, any_pid(random), maxnode, any_pointer(random, nodes), to, flags) < 0
			? errno
			: 0;
	atomic_fetch_add(&shared->calls, 1);
	atomic_fetch_add(&shared->ended[error < ERRORS ? error : 0], 1);
	switch (error) {
	case 0:
		if (flags == 0 && result[3] == 42)
			return;
		break;
	case EFAULT:
	case EINTR:
	case EINVAL:
	case EPERM:
	case ESRCH:
		return;
	}
	fprintf(stderr, "flags %u: error %d\n", flags, error);
	atomic_fetch_add(&shared->wrong, 1);
}

static void map(struct random *random, unsigned i)
{
	int flags = MAP_FIXED | MAP_ANONYMOUS | (below(random, 3) ? MAP_PRIVATE : MAP_SHARED);
	int fd = -1;

	if (!below(random, 16))
		flags |= MAP_HUGETLB;
	if (!below(random, 8)) {
		fd = memfd_create("fuzz", 0);
		if (fd >= 0 && ftruncate(fd, AREA_BYTES) == 0)
			flags = MAP_FIXED | (below(random, 2) ? MAP_PRIVATE : MAP_SHARED);
	}
	if (mmap(area[i], AREA_BYTES, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED)
		mmap(area[i], AREA_BYTES, PROT_READ | PROT_WRITE,
		     MAP_FIXED | MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (fd >= 0)
		close(fd);
}

/* By system calls: another thread may unmap it at any time. */
static void touch(struct random *random, unsigned i)
{
	int fd[2];
	char byte = (char)i;

	if (pipe(fd))
		return;
	for (unsigned k = below(random, 64); k; k--) {
		char *page = area[i] + 4096 * (size_t)below(random, AREA_BYTES / 4096);

		if (write(fd[1], &byte, 1) != 1 || read(fd[0], page, 1) != 1)
			break;
	}
	close(fd[0]);
	close(fd[1]);
}

static void run_anywhere(struct random *random)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(below(random, (unsigned)sysconf(_SC_NPROCESSORS_ONLN)), &set);
	sched_setaffinity(0, sizeof set, &set);
}

static void mutate(struct random *random)
{
	unsigned i = below(random, AREAS);
	size_t from = 4096 * (size_t)below(random, AREA_BYTES / 4096);
	size_t bytes = 4096 * (size_t)(1 + below(random, (unsigned)((AREA_BYTES - from) / 4096)));
	unsigned long nodes = 1 + below(random, 15), old = 1ul << below(random, 4);
	static const int advice[] = { MADV_DONTNEED, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_FREE,
				      MADV_COLD,     MADV_PAGEOUT,  MADV_DOFORK,     MADV_RANDOM };
	pid_t child;

	switch (below(random, 14)) {
	case 0:
		map(random, i);
		break;
	case 1:
		mprotect(area[i] + from, bytes, (int)below(random, 4));
		break;
	case 2:
		madvise(area[i] + from, bytes, advice[below(random, 8)]);
		break;
	case 3:
		syscall(SYS_mbind, area[i] + from, bytes, below(random, 6), &nodes, 65ul,
			below(random, 2) ? 2 : 0);
		break;
	case 4:
		if (below(random, 2))
			mlock(area[i] + from, bytes);
		else
			munlock(area[i] + from, bytes);
		break;
	case 5:
		mremap(area[i], AREA_BYTES, AREA_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
		       area[below(random, AREAS)]);
		break;
	case 6:
		syscall(SYS_migrate_pages, 0, 65ul, &old, &nodes);
		break;
	case 7:
		if (below(random, 4))
			break;
		child = fork();
		if (child == 0) {
			touch(random, i);
			_exit(0);
		}
		if (child > 0)
			waitpid(child, NULL, 0);
		break;
	case 8:
		run_anywhere(random);
		break;
	default:
		touch(random, i);
	}
}

static bool enough(void)
{
	return atomic_load(&shared->calls) >= shared->wanted;
}

static void *caller(void *seed)
{
	struct random random = { (uintptr_t)seed };

	pthread_barrier_wait(&ready);
	while (!enough())
		call(&random);
	return NULL;
}

static void *mutator(void *seed)
{
	struct random random = { (uintptr_t)seed };

	pthread_barrier_wait(&ready);
	while (!enough())
		mutate(&random);
	return NULL;
}

/* Its own memory keeps what was written to it, whatever moves. */
static void *keeper(void *seed)
{
	struct random random = { (uintptr_t)seed };
	size_t pages = 2 * AREA_BYTES / 4096;
	unsigned *memory = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	pthread_barrier_wait(&ready);
	for (unsigned value = 1; !enough(); value++) {
		for (size_t i = 0; i < pages; i++)
			memory[i * 1024] = value + (unsigned)i;
		run_anywhere(&random);
		for (size_t i = 0; i < pages; i++)
			if (memory[i * 1024] != value + (unsigned)i)
				atomic_fetch_add(&shared->lost, 1);
	}
	return NULL;
}

/* With a page behind it that nothing can be written to. */
static char *reserve(void)
{
	char *memory = mmap(NULL, AREA_BYTES + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(memory, AREA_BYTES, PROT_READ | PROT_WRITE);
	return memory;
}

static void process(uint64_t seed, bool privileged)
{
	pthread_t thread[CALLERS + MUTATORS + 1];
	unsigned i;

	if (!privileged && setresuid(NOBODY, NOBODY, NOBODY))
		_exit(2);
	for (i = 0; i < AREAS; i++)
		area[i] = reserve();
	pthread_barrier_init(&ready, NULL, CALLERS + MUTATORS + 1);
	for (i = 0; i < CALLERS + MUTATORS + 1; i++)
		pthread_create(&thread[i], NULL,
			       i < CALLERS ? caller : i < CALLERS + MUTATORS ? mutator : keeper,
			       (void *)(uintptr_t)(seed + 977 * (i + 1)));
	for (i = 0; i < CALLERS + MUTATORS + 1; i++)
		pthread_join(thread[i], NULL);
	_exit(0);
}

static pid_t start(unsigned i, uint64_t seed)
{
	pid_t pid = fork();

	if (pid == 0)
		process(seed, i % 2);
	atomic_store(&shared->pid[i], pid);
	return pid;
}

int main(int argc, char **argv)
{
	struct random random = { argc > 3 ? strtoull(argv[3], NULL, 0) | 1 : 1 };
	int status;

	if (argc < 3)
		return 2;
	number = atol(argv[1]);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	shared->wanted = strtoul(argv[2], NULL, 0);
	for (unsigned i = 0; i < PROCESSES; i++)
		start(i, next(&random));
	/* A process that is killed in mid-call, or by its own mutations, is replaced. */
	while (!enough()) {
		unsigned i = below(&random, PROCESSES);

		usleep(200000 + below(&random, 800000));
		if (!below(&random, 4))
			kill(atomic_load(&shared->pid[i]), SIGKILL);
		for (i = 0; i < PROCESSES; i++)
			if (waitpid(atomic_load(&shared->pid[i]), &status, WNOHANG) > 0 &&
			    !enough())
				start(i, next(&random));
	}
	while (wait(&status) > 0)
		;
	printf("%lu calls:", atomic_load(&shared->calls));
	for (unsigned i = 0; i < ERRORS; i++)
		if (shared->ended[i])
			printf(" %s %lu", i ? strerrorname_np((int)i) : "done", shared->ended[i]);
	printf("; wrong %lu, lost %lu\n", shared->wrong, shared->lost);
	return shared->wrong || shared->lost;
}
