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
};

static _Thread_local struct worker self __attribute__((tls_model("global-dynamic")));
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

uint64_t threads_bound_for(void)
{
	return self.bound_for;
}

void threads_set_bound_for(uint64_t generation)
{
	self.bound_for = generation;
}

void threads_settle(void)
{
	struct vfrt_cpus found, given;
	bool confined;

	vfrt_lock();
	confined = self.is_confined;
	found = self.found;
	given = self.given;
	self.is_confined = false;
	vfrt_unlock();
	if (confined)
		vfrt_thread_was_confined(&found, &given);
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

/* Sleeping threads, mostly: it costs little.  One that is just about to bind
 * itself does so afterwards, as it finds the generation changed. */
void threads_confine_others(uint64_t generation, const struct vfrt_cpus *allowed)
{
	for (struct worker *worker = workers; worker; worker = worker->next)
		if (worker->bound_for != generation)
			confine(worker, allowed);
}
