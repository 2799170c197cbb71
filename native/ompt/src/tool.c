/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvirtflex-ompt.so: an OMPT tool (OpenMP 5.1, chapter 4) that makes LLVM's
 * libomp follow the topology page, OMP_TOOL_LIBRARIES=libvirtflex-ompt.so.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "chain.h"
#include "follow.h"
#include "threads.h"

static bool following;

static void on_thread_begin(ompt_thread_t type, ompt_data_t *data)
{
	(void)data;
	if (type == ompt_thread_worker)
		threads_add();
}

static void on_thread_end(ompt_data_t *data)
{
	(void)data;
	threads_remove();
}

static void on_parallel_begin(ompt_data_t *task, const ompt_frame_t *frame, ompt_data_t *parallel,
			      unsigned int requested, int flags, const void *return_address)
{
	(void)task;
	(void)frame;
	(void)parallel;
	(void)return_address;
	follow_parallel_begin(requested, flags & ompt_parallel_league);
}

static void on_implicit_task(ompt_scope_endpoint_t endpoint, ompt_data_t *parallel,
			     ompt_data_t *task, unsigned int size, unsigned int index, int flags)
{
	(void)task;
	if (endpoint == ompt_scope_begin && !(flags & ompt_task_initial))
		follow_team_member(parallel, size, index);
}

static void on_task_schedule(ompt_data_t *prior, ompt_task_status_t status, ompt_data_t *next)
{
	(void)prior;
	(void)status;
	(void)next;
	follow_within();
}

static void on_sync_region(ompt_sync_region_t kind, ompt_scope_endpoint_t endpoint,
			   ompt_data_t *parallel, ompt_data_t *task, const void *return_address)
{
	(void)kind;
	(void)task;
	(void)return_address;
	/* At the end of a region the next one forms and binds the team anew. */
	if (endpoint == ompt_scope_end && parallel)
		follow_within();
}

static void on_dispatch(ompt_data_t *parallel, ompt_data_t *task, ompt_dispatch_t kind,
			ompt_data_t instance)
{
	(void)parallel;
	(void)task;
	(void)kind;
	(void)instance;
	follow_within();
}

/* For events that another tool sees, too. */
#define PASSING(name, parameters, arguments)    \
	static void passing_##name parameters   \
	{                                       \
		on_##name arguments;            \
		if (chain.name)                 \
			chain.name arguments;   \
	}

PASSING(thread_begin, (ompt_thread_t type, ompt_data_t *data), (type, data))
PASSING(thread_end, (ompt_data_t * data), (data))
PASSING(parallel_begin,
	(ompt_data_t * task, const ompt_frame_t *frame, ompt_data_t *parallel,
	 unsigned int requested, int flags, const void *return_address),
	(task, frame, parallel, requested, flags, return_address))
PASSING(implicit_task,
	(ompt_scope_endpoint_t endpoint, ompt_data_t *parallel, ompt_data_t *task,
	 unsigned int size, unsigned int index, int flags),
	(endpoint, parallel, task, size, index, flags))
PASSING(task_schedule, (ompt_data_t * prior, ompt_task_status_t status, ompt_data_t *next),
	(prior, status, next))
PASSING(sync_region,
	(ompt_sync_region_t kind, ompt_scope_endpoint_t endpoint, ompt_data_t *parallel,
	 ompt_data_t *task, const void *return_address),
	(kind, endpoint, parallel, task, return_address))
PASSING(dispatch,
	(ompt_data_t * parallel, ompt_data_t *task, ompt_dispatch_t kind, ompt_data_t instance),
	(parallel, task, kind, instance))

#define SET_OWN(name)                                                          \
	chain_set_own(ompt_callback_##name, (ompt_callback_t)on_##name, \
		      (ompt_callback_t)passing_##name)

static bool register_own(ompt_function_lookup_t lookup)
{
	const void *of_runtime;
	bool ok;

	memcpy(&of_runtime, &lookup, sizeof of_runtime);
	ok = follow_initialize(of_runtime);
	ok = ok && SET_OWN(parallel_begin);
	ok = ok && SET_OWN(implicit_task);
	if (!ok)
		return false;
	/* Without these, threads adapt between regions alone. */
	SET_OWN(thread_begin);
	SET_OWN(thread_end);
	SET_OWN(task_schedule);
	SET_OWN(sync_region);
	SET_OWN(dispatch);
	return true;
}

static int initialize(ompt_function_lookup_t lookup, int device, ompt_data_t *data)
{
	(void)data;
	chain_runtime(lookup);
	if (following) {
		follow_restore_environment();
		following = register_own(lookup);
	}
	return chain_initialize(device) || following;
}

static void finalize(ompt_data_t *data)
{
	(void)data;
	chain_finalize();
	if (following)
		follow_finalize();
}

/* With no page and no other tool the runtime is left alone: it doesn't even
 * turn its tool interface on. */
__attribute__((visibility("default"))) ompt_start_tool_result_t *
ompt_start_tool(unsigned int omp_version, const char *runtime_version)
{
	static ompt_start_tool_result_t result = { initialize, finalize, { 0 } };
	bool chained = chain_start(omp_version, runtime_version);

	following = follow_start();
	return following || chained ? &result : NULL;
}
