/* SPDX-License-Identifier: Apache-2.0 */
#include "virtflex/runtime.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "affinity.h"
#include "log.h"
#include "registration.h"
#include "reset_team.h"
#include "virtflex/machine.h"
#include "virtflex/page.h"

/* Polled before this process maps the page: unlike any generation, so that the
 * first thread to look comes here and maps it. */
static const uint64_t pending_generation = UINT64_MAX;
/* seen is the page's generation when it was last examined, be its content valid
 * or not. */
struct vfrt_poll vfrt_poll = { .generation = &vfrt_poll.seen };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* All below: under the mutex once vfrt_start has returned. */
static struct virtflex_topology_page snapshot;
static struct vfrt_view view = { .page = &snapshot };
static struct vfrt_mapping mapping = { .file = { .fd = -1 } };
static struct vfrt_file registration = { .fd = -1 };
static struct vfrt_cpus startup;
static char *page_path;
static char *places_text;
static enum vfrt_places_syntax places_syntax;
static uint64_t acknowledged;
static bool follow;
/* Nothing is missing of what the process could use. */
static bool whole;
/* Of the thread that has the mutex, before it took it. */
static int cancel_state;

/* A thread that is cancelled must not take the mutex with it. */
void vfrt_lock(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&mutex);
	cancel_state = state;
}

void vfrt_unlock(void)
{
	int state = cancel_state;

	pthread_mutex_unlock(&mutex);
	pthread_setcancelstate(state, NULL);
}

static void poll_at(const uint64_t *word)
{
	__atomic_store_n(&vfrt_poll.generation, word, __ATOMIC_RELEASE);
}

/* Another process: it maps and registers for itself, when it first looks. */
static void after_fork_in_child(void)
{
	if (mapping.page) {
		vfrt_unregister(&registration, &mapping);
		vfrt_unmap(&mapping);
		acknowledged = 0;
		poll_at(&pending_generation);
	}
	vfrt_reset_forked();
	vfrt_unlock();
}

static bool is_whole(void)
{
	for (unsigned node = 0; node < snapshot.node_count; node++) {
		uint32_t flags = snapshot.node[node].flags;

		if ((flags & VIRTFLEX_NODE_PRESENT) &&
		    (!(flags & VIRTFLEX_NODE_ONLINE) || (flags & VIRTFLEX_NODE_EVACUATING)))
			return false;
	}
	for (unsigned cpu = 0; cpu < snapshot.cpu_count; cpu++)
		if (vfrt_cpus_has(&startup, cpu) && !vfrt_cpus_has(&view.allowed, cpu))
			return false;
	return true;
}

static void allow(void)
{
	struct vfrt_cpus kernel_online = vfrt_machine_online(VFRT_SYSFS);
	struct vfrt_cpus runnable = vfrt_cpus_and(&startup, &kernel_online);
	struct vfrt_cpus usable = { 0 };

	if (vfrt_cpus_empty(&runnable))
		runnable = startup;
	view.online = (struct vfrt_cpus){ 0 };
	for (unsigned cpu = 0; cpu < snapshot.cpu_count; cpu++) {
		unsigned node = snapshot.cpu_node[cpu];
		uint32_t flags;

		if (node == VIRTFLEX_CPU_OFFLINE)
			continue;
		flags = snapshot.node[node].flags;
		vfrt_cpus_add(&view.online, cpu);
		if ((flags & VIRTFLEX_NODE_ONLINE) && !(flags & VIRTFLEX_NODE_EVACUATING))
			vfrt_cpus_add(&usable, cpu);
	}
	usable = vfrt_cpus_and(&usable, &runnable);
	view.allowed = vfrt_cpus_empty(&usable) ? runnable : usable;
	whole = is_whole();
}

static bool place(void)
{
	struct vfrt_places places = { 0 };

	if (places_text && vfrt_places_build(&places, places_syntax, places_text, &view.allowed,
					     &snapshot, VFRT_SYSFS) < 0)
		return false;
	vfrt_places_free(&view.places);
	view.places = places;
	return true;
}

static void report(void)
{
	char allowed[256];

	vfrt_cpus_format(&view.allowed, allowed, sizeof allowed);
	vfrt_log("generation %" PRIu64 ": %u CPUs (%s), %u places", view.generation,
		 vfrt_cpus_count(&view.allowed), allowed, view.places.count);
}

static void look(const struct virtflex_topology_page *page)
{
	struct virtflex_topology_page copy;
	int rc = vfrt_copy(&copy, page);

	/* Being written: the next one to poll tries again. */
	if (rc == -EAGAIN)
		return;
	__atomic_store_n(&vfrt_poll.seen, copy.generation, __ATOMIC_RELAXED);
	if (rc < 0) {
		vfrt_log("generation %" PRIu64 " of %s is invalid, ignored", copy.generation,
			 page_path);
		return;
	}
	if (copy.generation == 0)
		return;
	view.generation = copy.generation;
	snapshot = copy;
	allow();
	if (!place())
		vfrt_log("generation %" PRIu64 ": places not rebuilt", view.generation);
	report();
}

bool vfrt_start(void)
{
	const char *named = secure_getenv(VIRTFLEX_TOPOLOGY_ENV);
	const char *path = named && *named ? named : VIRTFLEX_TOPOLOGY_PROC;
	const char *threads = getenv("VIRTFLEX_THREADS");
	int rc;

	/* A runtime that starts anew in a child has all that it needs. */
	if (page_path)
		return true;
	vfrt_log_start();
	follow = threads && strcmp(threads, "follow") == 0;
	if (threads && *threads && !follow)
		vfrt_log("VIRTFLEX_THREADS=%s is unknown, ignored: \"follow\" is", threads);

	rc = vfrt_map(&mapping, path);
	if (rc < 0) {
		vfrt_log("%s: %s; the topology is not followed", path, strerror(-rc));
		return false;
	}
	/* The program may change its directory before it forks or first looks. */
	page_path = realpath(path, NULL);
	startup = vfrt_affinity_startup();
	view.allowed = startup;
	view.online = startup;
	if (page_path)
		look(mapping.page);
	if (view.generation != 0)
		vfrt_reset_placed(vfrt_usable_nodes(&snapshot));
	vfrt_unmap(&mapping);
	if (!page_path || pthread_atfork(vfrt_lock, vfrt_unlock, after_fork_in_child) != 0) {
		view.generation = vfrt_poll.seen = 0;
		return false;
	}
	poll_at(&pending_generation);
	return true;
}

static void join(void)
{
	int rc = vfrt_register(&registration, &mapping, page_path);

	if (rc < 0)
		vfrt_log("not registered with the publisher of %s: %s", page_path, strerror(-rc));
}

static void map(void)
{
	int rc = vfrt_map(&mapping, page_path);

	if (rc < 0) {
		vfrt_log("%s: %s; the topology is followed no more", page_path, strerror(-rc));
		poll_at(&vfrt_poll.seen);
		return;
	}
	poll_at(&mapping.page->generation);
	join();
}

void vfrt_stop(void)
{
	vfrt_lock();
	poll_at(&vfrt_poll.seen);
	vfrt_unregister(&registration, &mapping);
	vfrt_detach(&mapping);
	vfrt_unlock();
}

uint64_t vfrt_refresh(void)
{
	if (vfrt_poll.generation == &pending_generation)
		map();
	if (mapping.page && vfrt_page_generation(mapping.page) != vfrt_poll.seen)
		look(mapping.page);
	return vfrt_poll.seen;
}

const struct vfrt_view *vfrt_view(void)
{
	return &view;
}

int vfrt_module(void)
{
	return vfrt_kernel_page(&registration, &mapping);
}

const struct vfrt_cpus *vfrt_startup_cpus(void)
{
	return &startup;
}

bool vfrt_set_places(enum vfrt_places_syntax syntax, const char *text)
{
	char *copy = strdup(text);
	bool ok;

	if (!copy)
		return false;
	free(places_text);
	places_text = copy;
	places_syntax = syntax;
	ok = place();
	if (!ok) {
		free(places_text);
		places_text = NULL;
	}
	return ok;
}

unsigned vfrt_threads(unsigned long bound, unsigned promised)
{
	unsigned threads = vfrt_cpus_count(&view.allowed);

	if (follow)
		return threads;
	if (bound && (whole || bound < threads))
		threads = (unsigned)bound;
	return promised < threads ? promised : threads;
}

unsigned vfrt_most_threads(unsigned long bound)
{
	unsigned most = 0;

	if (bound && !follow)
		return (unsigned)bound;
	for (unsigned cpu = 0; cpu < snapshot.cpu_count; cpu++)
		most += vfrt_cpus_has(&startup, cpu);
	return most ? most : vfrt_cpus_count(&view.allowed);
}

void vfrt_thread_was_confined(const struct vfrt_cpus *found, const struct vfrt_cpus *given)
{
	struct vfrt_cpus online;

	vfrt_lock();
	online = view.online;
	vfrt_unlock();
	vfrt_affinity_note(found, given, &startup, &online);
}

uint64_t vfrt_bind_self(int number, unsigned thread)
{
	struct vfrt_cpus allowed, online, target;
	bool known, placed;
	uint64_t generation;
	char text[256];
	int rc;

	/* Copies, so that threads which adapt together make their system calls
	 * side by side. */
	vfrt_lock();
	generation = vfrt_refresh();
	known = view.generation != 0;
	allowed = view.allowed;
	online = view.online;
	placed = number != VFRT_NO_PLACE && view.places.count > 0;
	target = placed ? view.places.place[(unsigned)number % view.places.count] : allowed;
	vfrt_unlock();

	if (!known)
		return generation;
	rc = placed ? vfrt_affinity_bind(&target) : -ENOENT;
	/* No CPU of the place may be the process's by now: away from those that leave,
	 * all the same. */
	if (rc < 0)
		rc = vfrt_affinity_confine(&allowed, &startup, &online, thread);
	if (rc < 0) {
		vfrt_cpus_format(&target, text, sizeof text);
		vfrt_log("thread not bound to CPUs %s: %s", text, strerror(-rc));
	}
	return generation;
}

void vfrt_acknowledge(uint64_t generation)
{
	int rc;

	if (!mapping.page || generation <= acknowledged)
		return;
	rc = vfrt_answer(&registration, generation);
	if (rc < 0) {
		vfrt_unregister(&registration, &mapping);
		join();
		rc = vfrt_answer(&registration, generation);
	}
	if (rc < 0) {
		vfrt_log("generation %" PRIu64 " not acknowledged: %s", generation, strerror(-rc));
		return;
	}
	acknowledged = generation;
	vfrt_log("generation %" PRIu64 " acknowledged", generation);
}
