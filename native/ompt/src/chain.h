/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another OMPT tool behind this one.  A runtime knows one tool; so that a user
 * need not choose, the libraries named by VIRTFLEX_TOOL_LIBRARIES (separated by
 * colons, as in OMP_TOOL_LIBRARIES) are asked in turn for a tool, which then sees
 * the runtime through us: the events that we use ourselves are passed on.
 */
#ifndef CHAIN_H
#define CHAIN_H

#include <omp-tools.h>
#include <stdbool.h>

/* The events that this tool uses. */
#define CHAIN_EVENTS(EVENT)                                       \
	EVENT(ompt_callback_thread_begin, thread_begin)           \
	EVENT(ompt_callback_thread_end, thread_end)               \
	EVENT(ompt_callback_parallel_begin, parallel_begin)       \
	EVENT(ompt_callback_implicit_task, implicit_task)         \
	EVENT(ompt_callback_task_schedule, task_schedule)         \
	EVENT(ompt_callback_sync_region, sync_region)             \
	EVENT(ompt_callback_dispatch, dispatch)

/* The other tool's callback of each, or NULL. */
struct chain_callbacks {
#define CHAIN_MEMBER(event, name) event##_t name;
	CHAIN_EVENTS(CHAIN_MEMBER)
#undef CHAIN_MEMBER
};

extern struct chain_callbacks chain;

/* Looks for another tool; true where there is one. */
bool chain_start(unsigned int omp_version, const char *runtime_version);

/* Next: what the runtime offers. */
void chain_runtime(ompt_function_lookup_t lookup);

/* Next: registers one of our callbacks; false where the runtime never calls it.
 * From when the other tool asks for the event, passing takes its place, which calls
 * both. */
bool chain_set_own(ompt_callbacks_t event, ompt_callback_t callback, ompt_callback_t passing);

/* Last: lets the other tool initialize itself; false where none is (left). */
bool chain_initialize(int device);

void chain_finalize(void);

#endif
