/* SPDX-License-Identifier: Apache-2.0 */
#include "threads.h"

#include <sched.h>
#include <unistd.h>

#include "virtflex/runtime.h"

_Thread_local struct worker threads_self;
static struct worker *workers;

void threads_add(void)
{
	vfrt_lock();
	threads_self.tid = gettid();
	threads_self.next = workers;
	threads_self.link = &workers;
	if (workers)
		workers->link = &threads_self.next;
	workers = &threads_self;
	vfrt_unlock();
}

void threads_remove(void)
{
	if (!threads_self.link)
		return;
	vfrt_lock();
	*threads_self.link = threads_self.next;
	if (threads_self.next)
		threads_self.next->link = threads_self.link;
	threads_self.link = NULL;
	vfrt_unlock();
}

void threads_forked(void)
{
	workers = NULL;
	threads_self.link = NULL;
}

void threads_begin_binding(void)
{
	struct vfrt_cpus found, given;
	bool confined;

	vfrt_lock();
	confined = threads_self.is_confined;
	found = threads_self.found;
	given = threads_self.given;
	threads_self.is_confined = false;
	threads_self.is_binding = true;
	threads_self.was_passed_over = false;
	vfrt_unlock();
	if (confined)
		vfrt_thread_was_confined(&found, &given);
}

bool threads_end_binding(uint64_t generation)
{
	bool again;

	vfrt_lock();
	threads_self.bound_for = generation;
	threads_self.is_binding = false;
	again = threads_self.was_passed_over;
	vfrt_unlock();
	return again;
}

static void confine(struct worker *worker, const struct vfrt_cpus *allowed)
{
	struct vfrt_cpus now = { 0 };

	if (sched_getaffinity(worker->tid, sizeof now, (cpu_set_t *)(void *)&now) < 0 ||
	    sched_setaffinity(worker->tid, sizeof *allowed,
			      (const cpu_set_t *)(const void *)allowed) < 0)
		return;
	/* The second time what is found is what was given, mostly. */
	if (!worker->is_confined || !vfrt_cpus_equal(&now, &worker->given))
		worker->found = now;
	worker->is_confined = true;
	worker->given = *allowed;
}

/* Sleeping threads, mostly: it costs little. */
void threads_confine_others(uint64_t generation, const struct vfrt_cpus *allowed)
{
	for (struct worker *worker = workers; worker; worker = worker->next) {
		if (worker->is_binding)
			worker->was_passed_over = true;
		else if (worker->bound_for != generation)
			confine(worker, allowed);
	}
}
