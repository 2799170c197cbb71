/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's worker threads, so that idle ones don't stay on CPUs that leave. */
#ifndef THREADS_H
#define THREADS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "virtflex/cpus.h"

struct worker {
	struct worker *next, **link; /* link: NULL unless listed */
	pid_t tid;
	uint64_t bound_for; /* generation, 0 at first */
	/* Another thread changed its mask from found to given. */
	bool is_confined;
	struct vfrt_cpus found, given;
	bool is_binding;
	bool was_passed_over;
};

/* Of the calling thread, which may write bound_for where it isn't binding itself. */
extern _Thread_local struct worker threads_self __attribute__((tls_model("initial-exec")));

/* Called by a worker when it begins and ends. */
void threads_add(void);
void threads_remove(void);

/* In the child of a fork: the calling thread is the only one. */
void threads_forked(void);

/* Around a thread's binding of itself.  What another one did to its mask before
 * is noted, so that it isn't taken for the program's doing, and in between no
 * other one touches it.  end says what it is bound for now, and answers whether
 * it has to be done once more, as it was passed over meanwhile. */
void threads_begin_binding(void);
bool threads_end_binding(uint64_t generation);

/* Under vfrt_lock: confines all workers that aren't bound for the generation,
 * but for those that are just binding themselves. */
void threads_confine_others(uint64_t generation, const struct vfrt_cpus *allowed);

#endif
