/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * guest-pattern MIB: for a guest whose memory is moved meanwhile. One thread a CPU, bound to it, each with its share of MIB.
 *
 * A thread goes over its pages again and again: every word has to be what the thread wrote there the last time, and gets a new value.
 * A second thread a CPU reads a word which the first one of the next CPU keeps raising: it must never be seen to fall, as it would if one
 * CPU still read from where memory was while another writes to where it is.
 *
 * A writer rests for two thirds of the time: where few CPUs emulate a host, whoever moves the memory would hardly get one otherwise.
 *
 * Says "ready" when all memory is written once. SIGTERM has each thread end its pass, and look at all its memory once more. Then prints passes,
 * wrong words, falls, and the longest time that one page took. The status is 0 if nothing was wrong and each thread made a pass after "ready".
 */
#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define WORDS (PAGE / sizeof(uint64_t))
#define LOOKS 1000 /* of a reader, in a row */
#define BATCH 16   /* pages that a writer goes over in a row */

struct share {
	pthread_t writer, reader;
	int cpu;
	uint64_t *memory;
	unsigned long pages, passes, wrong, falls, longest_ns;
	_Atomic uint64_t *tick; /* in a page of its own */
	struct share *next;
};

static atomic_bool stop;
static pthread_barrier_t written;

static uint64_t word(const struct share *s, unsigned long i, unsigned long pass)
{
	return ((uint64_t)s->cpu << 56 ^ i ^ (uint64_t)pass << 40) * 0x9e3779b97f4a7c15ull;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void bind_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(2, "CPU %d", cpu);
}

/* Looks at every word, and writes the next value if told so. */
static void pass(struct share *s, bool write)
{
	uint64_t begin = now_ns();

	for (unsigned long page = 0; page < s->pages; page++) {
		uint64_t *words = s->memory + page * WORDS, start = now_ns(), took;

		for (unsigned long i = 0; i < WORDS; i++) {
			unsigned long at = page * WORDS + i;

			s->wrong += words[i] != (s->passes ? word(s, at, s->passes) : 0);
			if (write)
				words[i] = word(s, at, s->passes + 1);
		}
		atomic_fetch_add_explicit(s->tick, 1, memory_order_release);
		took = now_ns() - start;
		if (took > s->longest_ns)
			s->longest_ns = took;
		if (page % BATCH == BATCH - 1) {
			usleep(2 * (now_ns() - begin) / 1000);
			begin = now_ns();
		}
	}
	s->passes += write;
}

static void *writer(void *arg)
{
	struct share *s = arg;

	bind_to(s->cpu);
	pass(s, true);
	pthread_barrier_wait(&written);
	s->longest_ns = 0;
	do
		pass(s, true);
	while (!stop);
	pass(s, false);
	return NULL;
}

static void *reader(void *arg)
{
	struct share *s = arg;
	uint64_t last = 0;

	bind_to(s->cpu);
	while (!stop) {
		for (unsigned int i = 0; i < LOOKS; i++) {
			uint64_t tick = atomic_load_explicit(s->next->tick, memory_order_acquire);

			s->falls += tick < last;
			last = tick;
		}
		/* The rest is for the writer of this CPU. */
		usleep(1000);
	}
	return NULL;
}

static void *zeroed(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		err(2, "%zu bytes", size);
	return p;
}

int main(int argc, char **argv)
{
	long mib = argc == 2 ? atol(argv[1]) : 0, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct share *shares = calloc(cpus, sizeof(*shares));
	unsigned long passes = ~0ul, wrong = 0, falls = 0, longest = 0;
	sigset_t term;
	int signal;

	if (mib < cpus)
		errx(2, "usage: guest-pattern MIB (at least 1 a CPU)");
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	pthread_barrier_init(&written, NULL, cpus + 1);
	for (long i = 0; i < cpus; i++) {
		shares[i] = (struct share){ .cpu = i, .pages = mib * 256 / cpus, .next = &shares[(i + 1) % cpus] };
		shares[i].memory = zeroed(shares[i].pages * PAGE);
		shares[i].tick = zeroed(PAGE);
	}
	for (long i = 0; i < cpus; i++)
		if (pthread_create(&shares[i].writer, NULL, writer, &shares[i]) ||
		    pthread_create(&shares[i].reader, NULL, reader, &shares[i]))
			errx(2, "no thread for CPU %ld", i);
	pthread_barrier_wait(&written);
	puts("ready");
	fflush(stdout);
	sigwait(&term, &signal);
	stop = true;
	for (long i = 0; i < cpus; i++) {
		pthread_join(shares[i].writer, NULL);
		pthread_join(shares[i].reader, NULL);
		if (shares[i].passes - 1 < passes)
			passes = shares[i].passes - 1;
		wrong += shares[i].wrong;
		falls += shares[i].falls;
		if (shares[i].longest_ns > longest)
			longest = shares[i].longest_ns;
	}
	printf("passes %lu, wrong words %lu, falls %lu, longest page %lu us\n", passes, wrong, falls, longest / 1000);
	return wrong || falls || !passes;
}
