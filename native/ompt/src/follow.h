/* SPDX-License-Identifier: Apache-2.0 */
/* What this tool does at the runtime's events. */
#ifndef FOLLOW_H
#define FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "threads.h"
#include "virtflex/runtime.h"

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

/* Of the calling thread: all that an event reads while nothing changes.  With the
 * model no event calls for its address; all of this library's is in the static TLS
 * space, 664 of the 1,664 bytes that glibc keeps for what is loaded late. */
struct follow_thread {
	uint64_t formed_for;  /* generation that its number of threads is of */
	int given;	      /* the number that we set last */
	unsigned team_size;   /* of the outermost team that it is a member of, or was last */
	unsigned index;	      /* in that team */
	const void *team;     /* NULL: in none */
	uint64_t settled_for; /* generation that it is placed and counted for, in that team */
};
extern _Thread_local struct follow_thread follow_thread __attribute__((tls_model("initial-exec")));

/* Where something has changed: out of line, so that an event saves no register else. */
#define FOLLOW_CHANGED __attribute__((noinline))
void follow_form_team(unsigned requested, bool league) FOLLOW_CHANGED;
void follow_join_team(const void *team, unsigned size, unsigned index) FOLLOW_CHANGED;
void follow_move(void) FOLLOW_CHANGED;

/* The calling thread is about to form a team, or a league of teams; requested: of
 * so many, by a clause or by what the runtime was told. */
static inline void follow_parallel_begin(unsigned requested, bool league)
{
	/* Without a clause it is what the runtime was told last. */
	if (vfrt_changed(follow_thread.formed_for) || vfrt_memory_left() ||
	    __builtin_expect((int)requested != follow_thread.given, 0))
		follow_form_team(requested, league);
}

/* The calling thread has become thread number index of a team of that size. */
static inline void follow_team_member(const void *team, unsigned size, unsigned index)
{
	if (vfrt_changed(follow_thread.settled_for) ||
	    __builtin_expect(team != follow_thread.team || size != follow_thread.team_size ||
				     index != follow_thread.index,
			     0))
		follow_join_team(team, size, index);
}

/* The calling thread passes a barrier, or takes a chunk or a task. */
static inline void follow_within(void)
{
	if (vfrt_changed(threads_self.bound_for))
		follow_move();
}

void follow_finalize(void);

#endif
