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
	if (type == ompt_thread_worker)
		threads_add();
	if (chain.thread_begin)
		chain.thread_begin(type, data);
}

static void on_thread_end(ompt_data_t *data)
{
	threads_remove();
	if (chain.thread_end)
		chain.thread_end(data);
}

static void on_parallel_begin(ompt_data_t *task, const ompt_frame_t *frame, ompt_data_t *parallel,
			      unsigned int requested, int flags, const void *return_address)
{
	follow_parallel_begin(requested, flags & ompt_parallel_league);
	if (chain.parallel_begin)
		chain.parallel_begin(task, frame, parallel, requested, flags, return_address);
}

static void on_implicit_task(ompt_scope_endpoint_t endpoint, ompt_data_t *parallel,
			     ompt_data_t *task, unsigned int size, unsigned int index, int flags)
{
	if (endpoint == ompt_scope_begin && !(flags & ompt_task_initial))
		follow_team_member(parallel, size, index);
	if (chain.implicit_task)
		chain.implicit_task(endpoint, parallel, task, size, index, flags);
}

static void on_task_schedule(ompt_data_t *prior, ompt_task_status_t status, ompt_data_t *next)
{
	follow_within();
	if (chain.task_schedule)
		chain.task_schedule(prior, status, next);
}

static void on_sync_region(ompt_sync_region_t kind, ompt_scope_endpoint_t endpoint,
			   ompt_data_t *parallel, ompt_data_t *task, const void *return_address)
{
	/* At the end of a region the next one forms and binds the team anew. */
	if (endpoint == ompt_scope_end && parallel)
		follow_within();
	if (chain.sync_region)
		chain.sync_region(kind, endpoint, parallel, task, return_address);
}

static void on_dispatch(ompt_data_t *parallel, ompt_data_t *task, ompt_dispatch_t kind,
			ompt_data_t instance)
{
	follow_within();
	if (chain.dispatch)
		chain.dispatch(parallel, task, kind, instance);
}

static bool register_own(ompt_function_lookup_t lookup)
{
	const void *of_runtime;
	bool ok;

	memcpy(&of_runtime, &lookup, sizeof of_runtime);
	ok = follow_initialize(of_runtime);
	ok = ok && chain_set_own(ompt_callback_parallel_begin, (ompt_callback_t)on_parallel_begin);
	ok = ok && chain_set_own(ompt_callback_implicit_task, (ompt_callback_t)on_implicit_task);
	if (!ok)
		return false;
	/* Without these, threads adapt between regions alone. */
	chain_set_own(ompt_callback_thread_begin, (ompt_callback_t)on_thread_begin);
	chain_set_own(ompt_callback_thread_end, (ompt_callback_t)on_thread_end);
	chain_set_own(ompt_callback_task_schedule, (ompt_callback_t)on_task_schedule);
	chain_set_own(ompt_callback_sync_region, (ompt_callback_t)on_sync_region);
	chain_set_own(ompt_callback_dispatch, (ompt_callback_t)on_dispatch);
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
