/* SPDX-License-Identifier: Apache-2.0 */
#include "affinity.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "virtflex/runtime.h"

/* The dynamic model: only threads that meet a change have it, and a runtime that
 * is loaded late needs no static TLS space. */
static _Thread_local struct vfrt_thread self __attribute__((tls_model("global-dynamic")));

const struct vfrt_thread *vfrt_thread(void)
{
	return &self;
}

void vfrt_thread_inherit(const struct vfrt_thread *creator)
{
	self = *creator;
}

static bool get_affinity(struct vfrt_cpus *now)
{
	*now = (struct vfrt_cpus){ 0 };
	return sched_getaffinity(0, sizeof *now, (cpu_set_t *)(void *)now) == 0;
}

static int set_affinity(const struct vfrt_cpus *cpus)
{
	if (sched_setaffinity(0, sizeof *cpus, (const cpu_set_t *)(const void *)cpus) < 0)
		return -errno;
	self.is_set = true;
	self.set = *cpus;
	return 0;
}

struct vfrt_cpus vfrt_affinity_startup(void)
{
	static const char label[] = "Cpus_allowed:";
	FILE *status = fopen("/proc/thread-self/status", "re");
	struct vfrt_cpus cpus = { 0 };
	char line[1024];

	while (status && vfrt_cpus_empty(&cpus) && fgets(line, sizeof line, status))
		if (strncmp(line, label, sizeof label - 1) == 0)
			vfrt_cpus_parse_mask(&cpus, line + sizeof label - 1 +
							    strspn(line + sizeof label - 1, " \t"));
	if (status)
		fclose(status);
	if (vfrt_cpus_empty(&cpus) && (!get_affinity(&cpus) || vfrt_cpus_empty(&cpus)))
		memset(&cpus, 0xff, sizeof cpus);
	return cpus;
}

bool vfrt_affinity_narrowed(const struct vfrt_cpus *now, const struct vfrt_cpus *before,
			    const struct vfrt_cpus *startup, const struct vfrt_cpus *online)
{
	struct vfrt_cpus now_online = vfrt_cpus_and(now, online);
	struct vfrt_cpus before_online = vfrt_cpus_and(before, online);
	struct vfrt_cpus startup_online = vfrt_cpus_and(startup, online);
	struct vfrt_cpus inside = vfrt_cpus_and(&now_online, &startup_online);

	return !vfrt_cpus_empty(&before_online) && !vfrt_cpus_equal(&now_online, &before_online) &&
	       vfrt_cpus_equal(&now_online, &inside) &&
	       !vfrt_cpus_equal(&now_online, &startup_online);
}

static void note_own(const struct vfrt_cpus *now, const struct vfrt_cpus *startup,
		     const struct vfrt_cpus *online)
{
	const struct vfrt_cpus *before = self.is_set ? &self.set : startup;
	struct vfrt_cpus whole = vfrt_cpus_and(startup, online);
	struct vfrt_cpus now_online = vfrt_cpus_and(now, online);

	if (self.is_set && vfrt_cpus_equal(now, &self.set))
		return;
	if (vfrt_affinity_narrowed(now, before, startup, online)) {
		self.has_own = true;
		self.own = *now;
	} else if (vfrt_cpus_equal(&now_online, &whole)) {
		self.has_own = false;
	}
}

void vfrt_affinity_note(const struct vfrt_cpus *now, const struct vfrt_cpus *given,
			const struct vfrt_cpus *startup, const struct vfrt_cpus *online)
{
	note_own(now, startup, online);
	self.is_set = true;
	self.set = *given;
}

int vfrt_affinity_bind(const struct vfrt_cpus *place)
{
	return set_affinity(place);
}

/* Refused where that CPU is offline. */
static void move_to(const struct vfrt_cpus *cpus, unsigned number)
{
	unsigned cpu = vfrt_cpus_next(cpus, 0);
	struct vfrt_cpus one = { 0 };

	for (number %= vfrt_cpus_count(cpus); number > 0; number--)
		cpu = vfrt_cpus_next(cpus, cpu + 1);
	vfrt_cpus_add(&one, cpu);
	sched_setaffinity(0, sizeof one, (const cpu_set_t *)(const void *)&one);
}

int vfrt_affinity_confine(const struct vfrt_cpus *allowed, const struct vfrt_cpus *startup,
			  const struct vfrt_cpus *online, unsigned number)
{
	struct vfrt_cpus target = *allowed, now, kept;

	if (!get_affinity(&now))
		now = target;
	else
		note_own(&now, startup, online);
	if (self.has_own) {
		struct vfrt_cpus left = vfrt_cpus_and(&self.own, allowed);

		if (!vfrt_cpus_empty(&left))
			target = left;
	}
	kept = vfrt_cpus_and(&now, &target);
	if (!vfrt_cpus_equal(&kept, &target))
		move_to(&target, number);
	return set_affinity(&target);
}
