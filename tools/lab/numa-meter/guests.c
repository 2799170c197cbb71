// SPDX-License-Identifier: GPL-2.0-or-later
#include "guests.h"

#include <pthread.h>
#include <string.h>

static pthread_mutex_t choose_lock = PTHREAD_MUTEX_INITIALIZER;

void guests_init(struct guests *guests, bool chosen_only)
{
	memset(guests, 0, sizeof(*guests));
	guests->chosen_only = chosen_only;
	for (unsigned int cpu = 0; cpu < METER_MAX_VCPUS; cpu++)
		guests->cpu[cpu].counted = !chosen_only;
}

static bool is_chosen(const struct guests *guests, uint64_t vcpu)
{
	const unsigned int count = __atomic_load_n(&guests->count, __ATOMIC_ACQUIRE);

	for (unsigned int i = 0; i < count; i++)
		if (guests->chosen[i] == vcpu)
			return true;
	return false;
}

void guests_next(struct guests *guests, unsigned int cpu, uint64_t vcpu)
{
	guests->cpu[cpu].next = vcpu;
}

void guests_enter(struct guests *guests, unsigned int cpu)
{
	guests->cpu[cpu].running = guests->cpu[cpu].next;
	guests->cpu[cpu].counted =
		!guests->chosen_only || is_chosen(guests, guests->cpu[cpu].running);
}

void guests_leave(struct guests *guests, unsigned int cpu)
{
	guests->cpu[cpu].running = 0;
	guests->cpu[cpu].counted = !guests->chosen_only;
}

bool guests_choose(struct guests *guests, unsigned int cpu)
{
	const uint64_t vcpu = guests->cpu[cpu].running;
	bool room = true;

	/* Outside a guest there is nothing to choose. */
	if (!vcpu)
		return true;
	pthread_mutex_lock(&choose_lock);
	if (!is_chosen(guests, vcpu)) {
		room = guests->count < GUESTS_MAX_CHOSEN;
		if (room) {
			guests->chosen[guests->count] = vcpu;
			__atomic_store_n(&guests->count, guests->count + 1, __ATOMIC_RELEASE);
			guests->cpu[cpu].counted = true;
		}
	}
	pthread_mutex_unlock(&choose_lock);
	return room;
}
