/* SPDX-License-Identifier: Apache-2.0 */
/* What this tool does at the runtime's events. */
#ifndef FOLLOW_H
#define FOLLOW_H

#include <stdbool.h>

/*
 * Before the runtime reads its environment: finds the page, and takes binding
 * (OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY, KMP_AFFINITY) out of the
 * runtime's hands, whose places can't be changed later.  False where there is
 * no page, and then the environment is untouched.
 */
bool follow_start(void);

/* After it has: restores the environment, for the programs that this one starts. */
void follow_restore_environment(void);

/* Looks up the functions of the runtime that has of_runtime; false where it
 * lacks one. */
bool follow_initialize(const void *of_runtime);

/* The calling thread is about to form a team, or a league of teams; requested: of
 * so many, by a clause or by what the runtime was told. */
void follow_parallel_begin(unsigned requested, bool league);

/* The calling thread has become thread number index of a team of that size. */
void follow_team_member(const void *team, unsigned size, unsigned index);

/* The calling thread passes a barrier, or takes a chunk or a task. */
void follow_within(void);

void follow_finalize(void);

#endif
