/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fuzz NUMBER CALLS [SEED]: migrate_next_touch(), which is system call NUMBER, with
 * arguments good and bad, by several threads of several processes that map, unmap,
 * protect, fork, touch, lock, split and move memory meanwhile, and are killed now
 * and then.  Shows nothing by itself: what counts is the kernel's log.  Checks that
 * no call fails in a way that isn't documented, that flags are refused, and that
 * what was written to memory is still there.
 * Prints how many calls were made, how each ended and what they did to how many
 * pages, each minute and at the end; status 1 after a wrong one.
 *
 * How much is done between two calls is counted in calls, not in time: so the mix is
 * the same on a slow machine.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
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
#include <time.h>
#include <unistd.h>

#define PROCESSES 4 /* one of them privileged: it moves the text of all, too, page by page */
#define CALLERS 2	/* threads of a process that call */
#define MUTATORS 2	/* and that change its memory */
#define AREAS 16
#define LARGE_AREAS 2 /* for THPs and hugetlb; the others are small, so that a call is quick */
#define LARGE_BYTES ((size_t)4 << 20)
#define SMALL_BYTES ((size_t)32 << 10)
#define KEPT_BYTES ((size_t)128 << 10)
#define CALLS_A_MUTATION 8 /* by each caller */
#define MUTATIONS_BEHIND 4 /* at most */
#define CALLS_A_PASS 64	/* of the keeper */
#define CALLS_A_KILL 500 /* a process that has lived long has much to move */
#define ERRORS 64
#define NOBODY 65534

static long number;

/* Shared by all processes. */
static struct shared {
	atomic_ulong calls, wrong, lost, ended[ERRORS], marked, moved, left;
	atomic_ulong mutations, passes, kills;
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

static size_t bytes_of(unsigned i)
{
	return i < LARGE_AREAS ? LARGE_BYTES : SMALL_BYTES;
}

static void *page_of(struct random *random, unsigned i)
{
	return area[i] + 4096 * (size_t)below(random, (unsigned)(bytes_of(i) / 4096));
}

/* All stacks and the keeper's memory are there before any area leaves a hole that
 * they could fill. */
static pthread_barrier_t ready;

/* What the callers leave the other threads to do, and how far those may be behind. */
static sem_t mutations, passes, behind;

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
	unsigned i;

	switch (below(random, 16)) {
	case 0:
		return NULL;
	case 1:
		return (const void *)(uintptr_t)next(random);
	case 2:
		i = below(random, AREAS);
		return area[i] + bytes_of(i) - 1;
	default:
		return good;
	}
}

static void call(struct random *random)
{
	uint64_t nodes[2] = { next(random), 0 }, result[4] = { 0, 0, 0, 42 };
	unsigned long maxnode = 65;
	unsigned flags = below(random, 32) ? 0 : (unsigned)next(random);
	bool policy = !below(random, 64); /* of the task */
	const void *to;
	int error;

	switch (below(random, 8)) {
	case 0:
		break;
	case 1:
	case 2:
		nodes[0] = 1 + below(random, 15);
		break;
	default: /* all, or one leaves */
		nodes[0] = 15 & ~(1ul << below(random, 8));
	}
	if (!below(random, 16))
		maxnode = below(random, 2) ? below(random, 130) : next(random);
	to = any_pointer(random, result);
	if (policy)
		syscall(SYS_set_mempolicy, below(random, 6), nodes, 65ul);
	error = syscall(number, any_pid(random), maxnode, any_pointer(random, nodes), to, flags) < 0
			? errno
			: 0;
	if (policy)
		syscall(SYS_set_mempolicy, 0, NULL, 0ul);
	atomic_fetch_add(&shared->calls, 1);
	atomic_fetch_add(&shared->ended[error < ERRORS ? error : 0], 1);
	switch (error) {
	case 0:
		atomic_fetch_add(&shared->marked, result[0]);
		atomic_fetch_add(&shared->moved, result[1]);
		atomic_fetch_add(&shared->left, result[2]);
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
	size_t bytes = bytes_of(i);
	int fd = -1;

	if (bytes == LARGE_BYTES && !below(random, 4))
		flags |= MAP_HUGETLB;
	if (!below(random, 8)) {
		fd = memfd_create("fuzz", 0);
		if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
			flags = MAP_FIXED | (below(random, 2) ? MAP_PRIVATE : MAP_SHARED);
	}
	if (mmap(area[i], bytes, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED)
		mmap(area[i], bytes, PROT_READ | PROT_WRITE,
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
	for (unsigned k = below(random, 16); k; k--)
		if (write(fd[1], &byte, 1) != 1 || read(fd[0], page_of(random, i), 1) != 1)
			break;
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
	size_t from = 4096 * (size_t)below(random, (unsigned)(bytes_of(i) / 4096));
	size_t bytes = 4096 * (size_t)(1 + below(random, (unsigned)((bytes_of(i) - from) / 4096)));
	unsigned long nodes = 1 + below(random, 15), old = 1ul << below(random, 4);
	static const int advice[] = { MADV_DONTNEED, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_FREE,
				      MADV_COLD,     MADV_PAGEOUT,  MADV_DOFORK,     MADV_RANDOM };
	unsigned to;
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
	case 4: /* which fills it */
		bytes = bytes < SMALL_BYTES ? bytes : SMALL_BYTES;
		if (below(random, 2))
			mlock(area[i] + from, bytes);
		else
			munlock(area[i] + from, bytes);
		break;
	case 5:
		to = below(random, AREAS);
		bytes = bytes_of(i) < bytes_of(to) ? bytes_of(i) : bytes_of(to);
		mremap(area[i], bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, area[to]);
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
	for (unsigned n = 1; !enough(); n++) {
		call(&random);
		if (n % CALLS_A_MUTATION == 0) {
			sem_wait(&behind);
			sem_post(&mutations);
		}
		if (n % CALLS_A_PASS == 0)
			sem_post(&passes);
	}
	for (unsigned i = 0; i < MUTATORS; i++)
		sem_post(&mutations);
	sem_post(&passes);
	return NULL;
}

static void *mutator(void *seed)
{
	struct random random = { (uintptr_t)seed };

	pthread_barrier_wait(&ready);
	for (sem_wait(&mutations); !enough(); sem_wait(&mutations)) {
		mutate(&random);
		atomic_fetch_add(&shared->mutations, 1);
		sem_post(&behind);
	}
	for (unsigned i = 0; i < CALLERS; i++)
		sem_post(&behind);
	return NULL;
}

/* Its own memory keeps what was written to it, whatever moves. */
static void *keeper(void *seed)
{
	struct random random = { (uintptr_t)seed };
	size_t pages = KEPT_BYTES / 4096;
	unsigned *memory = mmap(NULL, KEPT_BYTES, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	pthread_barrier_wait(&ready);
	for (unsigned value = 1; !enough(); value++) {
		for (size_t i = 0; i < pages; i++)
			memory[i * 1024] = value + (unsigned)i;
		run_anywhere(&random);
		sem_wait(&passes);
		for (size_t i = 0; i < pages; i++)
			if (memory[i * 1024] != value + (unsigned)i)
				atomic_fetch_add(&shared->lost, 1);
		atomic_fetch_add(&shared->passes, 1);
	}
	return NULL;
}

/* With a page behind it that nothing can be written to. */
static char *reserve(size_t bytes)
{
	char *memory = mmap(NULL, bytes + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(memory, bytes, PROT_READ | PROT_WRITE);
	return memory;
}

static void process(uint64_t seed, bool privileged)
{
	pthread_t thread[CALLERS + MUTATORS + 1];
	unsigned i;

	if (!privileged && setresuid(NOBODY, NOBODY, NOBODY))
		_exit(2);
	for (i = 0; i < AREAS; i++)
		area[i] = reserve(bytes_of(i));
	pthread_barrier_init(&ready, NULL, CALLERS + MUTATORS + 1);
	sem_init(&mutations, 0, 0);
	sem_init(&passes, 0, 0);
	sem_init(&behind, 0, MUTATIONS_BEHIND);
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
		process(seed, i == 0);
	atomic_store(&shared->pid[i], pid);
	return pid;
}

static void print(void)
{
	printf("%lu calls:", atomic_load(&shared->calls));
	for (unsigned i = 0; i < ERRORS; i++)
		if (shared->ended[i])
			printf(" %s %lu", i ? strerrorname_np((int)i) : "done", shared->ended[i]);
	printf("; pages: marked %lu, moved %lu, left %lu; mutations %lu, passes %lu, kills %lu; ",
	       shared->marked, shared->moved, shared->left, shared->mutations, shared->passes,
	       shared->kills);
	printf("wrong %lu, lost %lu\n", shared->wrong, shared->lost);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct random random = { argc > 3 ? strtoull(argv[3], NULL, 0) | 1 : 1 };
	unsigned long killed = 0;
	time_t printed = time(NULL);
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
		usleep(50000 + below(&random, 50000));
		if (atomic_load(&shared->calls) - killed >= CALLS_A_KILL) {
			killed = atomic_load(&shared->calls);
			kill(atomic_load(&shared->pid[below(&random, PROCESSES)]), SIGKILL);
			atomic_fetch_add(&shared->kills, 1);
		}
		for (unsigned i = 0; i < PROCESSES; i++)
			if (waitpid(atomic_load(&shared->pid[i]), &status, WNOHANG) > 0 &&
			    !enough())
				start(i, next(&random));
		if (time(NULL) - printed >= 60) {
			printed = time(NULL);
			print();
		}
	}
	while (wait(&status) > 0)
		;
	print();
	return shared->wrong || shared->lost;
}
