/* SPDX-License-Identifier: Apache-2.0 */
/* A program under test, which follows a page of this machine's first two CPUs:
 * two nodes, a CPU each. */
#ifndef SUBJECT_H
#define SUBJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "virtflex/cpus.h"

#define SUBJECT_MAX_THREADS 64

/* How a node is taken away. */
enum subject_way {
	SUBJECT_EVACUATING,
	SUBJECT_NODE_OFFLINE,
	SUBJECT_CPU_OFFLINE,
	SUBJECT_WAYS,
};

struct subject {
	pid_t pid;
	int threads; /* of the last team */
	long tid[SUBJECT_MAX_THREADS];
};

/* The CPU that is node number node; ends the test as skipped (77) where this
 * machine has but one. */
unsigned subject_cpu(unsigned node);

/* Publishes the next generation, in which only the nodes of the bit mask may be
 * used; returns that generation.  The first call makes the page. */
uint64_t subject_publish(unsigned nodes, enum subject_way way);

/* For a program that is its own subject: executes itself, with the page's
 * directory as one more argument, in a child; ends with the child's status. */
void subject_again(char *const argv[]);

/* In that child: goes on publishing. */
void subject_resume(const char *directory);

/* Starts program, its environment pointing to the page. */
void subject_start(struct subject *subject, char *const argv[]);

/* So many parallel regions; checks that the results are right. */
void subject_run(struct subject *subject, unsigned rounds);

/* End of input: checks that it ends with 0. */
void subject_stop(struct subject *subject);

struct vfrt_cpus subject_affinity(const struct subject *subject, long tid);

/* Threads of the process, whatever they do. */
int subject_tasks(const struct subject *subject, long *tid, int size);

/* The generation that it acknowledged: 0 none, -1 not registered. */
long subject_acknowledged(const struct subject *subject);

#endif
