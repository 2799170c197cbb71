/* SPDX-License-Identifier: Apache-2.0 */
/* late PLUGIN: a program without OpenMP loads a plug-in with it, and so the
 * runtime, when the topology has changed already; then it changes again. */
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include "../check.h"
#include "subject.h"

int main(int argc, char **argv)
{
	struct subject self = { .pid = getpid() };
	int (*team_size)(void);
	uint64_t generation;
	void *plugin;

	CHECK(argc == 2);
	subject_publish(3, SUBJECT_EVACUATING);
	subject_publish(1, SUBJECT_EVACUATING);
	plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!plugin)
		fprintf(stderr, "%s\n", dlerror());
	CHECK(plugin);
	*(void **)&team_size = dlsym(plugin, "team_size");
	CHECK(team_size && subject_acknowledged(&self) == -1);
	CHECK(team_size() == 1 && subject_acknowledged(&self) == 2);
	generation = subject_publish(3, SUBJECT_EVACUATING);
	CHECK(team_size() == 2 && subject_acknowledged(&self) == (long)generation);
	return 0;
}
