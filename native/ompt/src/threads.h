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

/* The generation that the calling thread is bound for, 0 at first. */
uint64_t threads_bound_for(void);
void threads_set_bound_for(uint64_t generation);

/* By a thread that is about to bind itself: takes note of having been confined,
 * so as not to take that for the program's doing. */
void threads_settle(void);

/* Under vfrt_lock: confines all workers that aren't bound for the generation. */
void threads_confine_others(uint64_t generation, const struct vfrt_cpus *allowed);

#endif
