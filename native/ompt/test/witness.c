/* SPDX-License-Identifier: Apache-2.0 */
/* Another OMPT tool: counts regions, and implicit tasks by its own data. */
#include <stdbool.h>
#include <stdio.h>

#include <omp-tools.h>

static unsigned long regions, tasks, lost;

static void on_parallel_begin(ompt_data_t *task, const ompt_frame_t *frame, ompt_data_t *parallel,
			      unsigned int requested, int flags, const void *return_address)
{
	(void)task;
	(void)frame;
	(void)requested;
	(void)flags;
	(void)return_address;
	parallel->value = 0x600d;
	regions++;
}

static void on_implicit_task(ompt_scope_endpoint_t endpoint, ompt_data_t *parallel,
			     ompt_data_t *task, unsigned int size, unsigned int index, int flags)
{
	(void)task;
	(void)size;
	(void)index;
	if (endpoint != ompt_scope_begin || flags & ompt_task_initial)
		return;
	__atomic_fetch_add(&tasks, 1, __ATOMIC_RELAXED);
	if (parallel->value != 0x600d)
		__atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED);
}

static int initialize(ompt_function_lookup_t lookup, int device, ompt_data_t *data)
{
	ompt_set_callback_t set = (ompt_set_callback_t)lookup("ompt_set_callback");
	ompt_get_callback_t get = (ompt_get_callback_t)lookup("ompt_get_callback");
	ompt_callback_t callback = NULL;

	(void)device;
	(void)data;
	/* Not the callbacks of the tool before it. */
	if (get(ompt_callback_parallel_begin, &callback))
		return 0;
	return set(ompt_callback_parallel_begin, (ompt_callback_t)on_parallel_begin) ==
		       ompt_set_always &&
	       set(ompt_callback_implicit_task, (ompt_callback_t)on_implicit_task) ==
		       ompt_set_always;
}

static void finalize(ompt_data_t *data)
{
	(void)data;
	fprintf(stderr, "witness: %lu regions, %lu tasks, %lu lost\n", regions, tasks, lost);
}

__attribute__((visibility("default"))) ompt_start_tool_result_t *
ompt_start_tool(unsigned int omp_version, const char *runtime_version)
{
	static ompt_start_tool_result_t result = { initialize, finalize, { 0 } };

	(void)omp_version;
	(void)runtime_version;
	return &result;
}
