/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's worker threads, so that idle ones don't stay on CPUs that leave. */
#ifndef THREADS_H
#define THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "virtflex/cpus.h"

/* Called by a worker when it begins and ends. */
void threads_add(void);
void threads_remove(void);

/* In the child of a fork: the calling thread is the only one. */
void threads_forked(void);

/* The generation that the calling thread is bound for, 0 at first. */
uint64_t threads_bound_for(void);
void threads_set_bound_for(uint64_t generation);

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
