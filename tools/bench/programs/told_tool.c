// SPDX-License-Identifier: Apache-2.0
/* An OMPT tool that is told of the events that native/ompt asks for, and does nothing. */
#include <omp-tools.h>
#include <stddef.h>

static void return_at_once(void)
{
}

static int initialize(ompt_function_lookup_t lookup, int device, ompt_data_t *data)
{
	static const ompt_callbacks_t events[] = {
		ompt_callback_thread_begin,  ompt_callback_thread_end,
		ompt_callback_parallel_begin, ompt_callback_implicit_task,
		ompt_callback_task_schedule, ompt_callback_sync_region,
		ompt_callback_dispatch,
	};
	const ompt_set_callback_t set = (ompt_set_callback_t)lookup("ompt_set_callback");

	(void)device;
	(void)data;
	for (size_t i = 0; i < sizeof events / sizeof *events; i++)
		set(events[i], (ompt_callback_t)return_at_once);
	return 1;
}

static void finalize(ompt_data_t *data)
{
	(void)data;
}

ompt_start_tool_result_t *ompt_start_tool(unsigned int omp_version, const char *runtime_version)
{
	static ompt_start_tool_result_t result = { initialize, finalize, { 0 } };

	(void)omp_version;
	(void)runtime_version;
	return &result;
}
