/* SPDX-License-Identifier: Apache-2.0 */
#include "chain.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARIES_ENV "VIRTFLEX_TOOL_LIBRARIES"

typedef ompt_start_tool_result_t *(*start_tool_t)(unsigned int, const char *);

struct chain_callbacks chain;

static ompt_start_tool_result_t *other;
static ompt_function_lookup_t runtime_lookup;
static ompt_set_callback_t runtime_set_callback;
static ompt_get_callback_t runtime_get_callback;

bool chain_start(unsigned int omp_version, const char *runtime_version)
{
	const char *libraries = secure_getenv(LIBRARIES_ENV);
	char *copy = libraries ? strdup(libraries) : NULL, *rest = copy, *name;

	while (copy && !other && (name = strtok_r(rest, ":", &rest))) {
		void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
		start_tool_t start;

		if (!library)
			continue;
		*(void **)&start = dlsym(library, "ompt_start_tool");
		if (start)
			other = start(omp_version, runtime_version);
		if (!other)
			dlclose(library);
	}
	free(copy);
	return other;
}

/* Where the other tool's callback for an event of ours is kept. */
static ompt_callback_t *slot(ompt_callbacks_t event)
{
	switch (event) {
#define CHAIN_SLOT(event, name) \
	case event:             \
		return (ompt_callback_t *)&chain.name;
		CHAIN_EVENTS(CHAIN_SLOT)
#undef CHAIN_SLOT
	default:
		return NULL;
	}
}

/* By event: what the runtime answered when we registered; 0 (ompt_set_error) where
 * we don't follow, and the event is the other tool's alone. */
static ompt_set_result_t own_result[64];
static ompt_callback_t own_passing[64];

static ompt_set_result_t set_callback(ompt_callbacks_t event, ompt_callback_t callback)
{
	ompt_callback_t *kept = slot(event);

	if (!kept || own_result[event] == ompt_set_error)
		return runtime_set_callback(event, callback);
	*kept = callback;
	return callback ? runtime_set_callback(event, own_passing[event]) : own_result[event];
}

static int get_callback(ompt_callbacks_t event, ompt_callback_t *callback)
{
	ompt_callback_t *kept = slot(event);

	if (!kept || own_result[event] == ompt_set_error)
		return runtime_get_callback(event, callback);
	if (!*kept)
		return 0;
	*callback = *kept;
	return 1;
}

static ompt_interface_fn_t lookup_through(const char *name)
{
	if (strcmp(name, "ompt_set_callback") == 0)
		return (ompt_interface_fn_t)set_callback;
	if (strcmp(name, "ompt_get_callback") == 0)
		return (ompt_interface_fn_t)get_callback;
	return runtime_lookup(name);
}

void chain_runtime(ompt_function_lookup_t lookup)
{
	runtime_lookup = lookup;
	runtime_set_callback = (ompt_set_callback_t)lookup("ompt_set_callback");
	runtime_get_callback = (ompt_get_callback_t)lookup("ompt_get_callback");
}

bool chain_initialize(int device)
{
	if (other && !other->initialize(lookup_through, device, &other->tool_data)) {
		other = NULL;
		chain = (struct chain_callbacks){ 0 };
	}
	return other;
}

void chain_finalize(void)
{
	if (other && other->finalize)
		other->finalize(&other->tool_data);
}

bool chain_set_own(ompt_callbacks_t event, ompt_callback_t callback, ompt_callback_t passing)
{
	own_passing[event] = passing;
	own_result[event] = runtime_set_callback(event, callback);
	return own_result[event] == ompt_set_always || own_result[event] == ompt_set_sometimes;
}
