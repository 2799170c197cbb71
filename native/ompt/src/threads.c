/* SPDX-License-Identifier: Apache-2.0 */
#include "threads.h"

#include <sched.h>
#include <unistd.h>

#include "virtflex/runtime.h"

struct worker {
	struct worker *next, **link; /* link: NULL unless listed */
	pid_t tid;
	uint64_t bound_for;
	/* Another thread changed its mask from found to given. */
	bool is_confined;
	struct vfrt_cpus found, given;
	bool is_binding;
	bool was_passed_over;
};

static _Thread_local struct worker self __attribute__((tls_model("initial-exec")));
static struct worker *workers;

void threads_add(void)
{
	vfrt_lock();
	self.tid = gettid();
	self.next = workers;
	self.link = &workers;
	if (workers)
		workers->link = &self.next;
	workers = &self;
	vfrt_unlock();
}

void threads_remove(void)
{
	if (!self.link)
		return;
	vfrt_lock();
	*self.link = self.next;
	if (self.next)
		self.next->link = self.link;
	self.link = NULL;
	vfrt_unlock();
}

void threads_forked(void)
{
	workers = NULL;
	self.link = NULL;
}

uint64_t threads_bound_for(void)
{
	return self.bound_for;
}

void threads_set_bound_for(uint64_t generation)
{
	self.bound_for = generation;
}

void threads_begin_binding(void)
{
	struct vfrt_cpus found, given;
	bool confined;

	vfrt_lock();
	confined = self.is_confined;
	found = self.found;
	given = self.given;
	self.is_confined = false;
	self.is_binding = true;
	self.was_passed_over = false;
	vfrt_unlock();
	if (confined)
		vfrt_thread_was_confined(&found, &given);
}

bool threads_end_binding(uint64_t generation)
{
	bool again;

	vfrt_lock();
	self.bound_for = generation;
	self.is_binding = false;
	again = self.was_passed_over;
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
