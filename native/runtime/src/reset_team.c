/* SPDX-License-Identifier: Apache-2.0 */
/* One reset a generation, by the threads of the team that adapts to it; and one
 * more if that team met it within a region and the next team is larger.  What a
 * reset leaves is tried again before later teams. */
#include "reset_team.h"

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "virtflex/machine.h"
#include "virtflex/runtime.h"

static const struct vfrt_reset_kernel *kernel = &vfrt_reset_kernel;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* All under the mutex. */
static uint64_t placed;	    /* nodes that memory was placed for; 0: not known */
static uint64_t generation; /* that the last reset was for */
static unsigned dealt;	    /* threads of the team that memory was dealt to then; 0: it wasn't */
static bool preparing;
static struct vfrt_reset *running;
static unsigned workers;
static struct vfrt_reset *resting; /* what it left may move at another try */
static unsigned tries;		   /* that it has had, after the first */
static uint64_t due;		   /* when the next one is */

/* Nanoseconds before each try. */
static const uint64_t pauses[] = { 10000000, 100000000, 1000000000 };
#define TRIES (sizeof pauses / sizeof *pauses)

uint64_t vfrt_usable_nodes(const struct virtflex_topology_page *page)
{
	uint64_t nodes = 0;

	for (unsigned node = 0; node < page->node_count; node++)
		if ((page->node[node].flags & VIRTFLEX_NODE_ONLINE) &&
		    !(page->node[node].flags & VIRTFLEX_NODE_EVACUATING))
			nodes |= UINT64_C(1) << node;
	return nodes;
}

/* Under the mutex. */
static void rest(struct vfrt_reset *reset)
{
	resting = reset;
	__atomic_store_n(&vfrt_poll.memory_left, reset != NULL, __ATOMIC_RELAXED);
}

/* Under the mutex. */
static void forget_rest(void)
{
	if (resting)
		vfrt_reset_end(resting);
	rest(NULL);
}

void vfrt_reset_placed(uint64_t nodes)
{
	pthread_mutex_lock(&mutex);
	placed = nodes;
	pthread_mutex_unlock(&mutex);
}

void vfrt_reset_forked(void)
{
	pthread_mutex_init(&mutex, NULL);
	pthread_cond_init(&changed, NULL);
	/* What was being moved stays where it is, for the child's first team to move. */
	if (preparing || running) {
		generation = 0;
		placed = UINT64_MAX;
	}
	preparing = false;
	running = NULL;
	dealt = 0;
	workers = 0;
	rest(NULL);
}

void vfrt_reset_use(const struct vfrt_reset_kernel *other)
{
	kernel = other;
}

/* A page from a file may tell of nodes that aren't the kernel's: those of an
 * embedded host, say. */
static bool speaks_of_kernel(const struct virtflex_topology_page *page, uint64_t nodes)
{
	for (; nodes; nodes &= nodes - 1) {
		unsigned node = (unsigned)__builtin_ctzll(nodes);
		struct vfrt_cpus cpus = vfrt_machine_node_cpus(kernel->sysfs, node);

		for (unsigned cpu = 0; cpu < page->cpu_count; cpu++)
			if (vfrt_cpus_has(&cpus, cpu) &&
			    page->cpu_node[cpu] != VIRTFLEX_CPU_OFFLINE &&
			    page->cpu_node[cpu] != node)
				return false;
	}
	return true;
}

static uint8_t node_of(const struct virtflex_topology_page *page, const struct vfrt_cpus *place)
{
	unsigned cpu = vfrt_cpus_next(place, 0);

	return cpu < page->cpu_count ? (uint8_t)page->cpu_node[cpu] : 0;
}

/* The node of each thread: its place's; without places the allowed CPUs are
 * taken to be filled evenly, node after node. */
static void set_blocks(struct vfrt_reset_request *request, const struct vfrt_view *view,
		       unsigned threads, enum vfrt_bind bind)
{
	const struct virtflex_topology_page *page = view->page;
	uint8_t by_node[VIRTFLEX_MAX_CPUS];
	unsigned cpus = 0;

	for (unsigned node = 0; node < page->node_count; node++)
		for (unsigned cpu = 0; cpu < page->cpu_count; cpu++)
			if (page->cpu_node[cpu] == node && vfrt_cpus_has(&view->allowed, cpu))
				by_node[cpus++] = (uint8_t)node;
	request->blocks = threads < VIRTFLEX_MAX_CPUS ? threads : VIRTFLEX_MAX_CPUS;
	if (cpus == 0)
		request->blocks = 0;
	for (unsigned i = 0; i < request->blocks; i++) {
		if (bind == VFRT_BIND_FALSE || view->places.count == 0)
			request->block[i] = by_node[(size_t)i * cpus / request->blocks];
		else
			request->block[i] = node_of(
				page, &view->places.place[vfrt_place_of(bind, i, request->blocks,
									view->places.count, 0)]);
	}
}

/* Returns false where there is nothing to move. */
static bool make_request(struct vfrt_reset_request *request, unsigned threads, enum vfrt_bind bind,
			 bool again)
{
	uint64_t kernel_nodes = vfrt_reset_memory_nodes(kernel->sysfs), before;
	const struct vfrt_view *view;
	bool needed = false;

	if (!(kernel_nodes & (kernel_nodes - 1)))
		return false;
	vfrt_lock();
	view = vfrt_view();
	if (view->generation != 0) {
		request->nodes = vfrt_usable_nodes(view->page);
		pthread_mutex_lock(&mutex);
		before = placed;
		placed = request->nodes;
		if (again || before != placed)
			forget_rest();
		pthread_mutex_unlock(&mutex);
		request->mode = VFRT_RESET_SPREAD;
		needed = before && (again || before != request->nodes) &&
			 speaks_of_kernel(view->page, kernel_nodes);
		/* No file may say which system call is made. */
		request->module = vfrt_module();
		request->call = request->module < 0 ? 0 : view->page->reset_call;
		memcpy(request->distance, view->page->distance, sizeof request->distance);
		request->nodes &= kernel_nodes;
		set_blocks(request, view, threads, bind);
	}
	vfrt_unlock();
	return needed && request->nodes;
}

/* Returns with the mutex held. */
static void end_preparing(struct vfrt_reset *reset, int rc)
{
	if (rc < 0)
		vfrt_log("memory not placed anew: %s", strerror(-rc));
	pthread_mutex_lock(&mutex);
	running = rc == 0 ? reset : NULL;
	preparing = false;
	pthread_cond_broadcast(&changed);
}

static void prepare(unsigned threads, enum vfrt_bind bind, bool again)
{
	struct vfrt_reset_request request = { 0 };
	struct vfrt_reset *reset = NULL;
	int rc = 0;

	if (make_request(&request, threads, bind, again)) {
		tries = 0;
		rc = vfrt_reset_begin(&reset, &request, kernel);
	}
	end_preparing(reset, rc);
	dealt = running ? threads : 0;
}

static void report(uint64_t of, const struct vfrt_reset_result *result)
{
	vfrt_log("generation %" PRIu64 ": memory, by %s: %" PRIu64
		 " KiB marked, %" PRIu64 " KiB moved, left: shared %" PRIu64 ", busy %" PRIu64 ", no room %" PRIu64 ", gone %" PRIu64 ", by policy %" PRIu64
		 ", refused %" PRIu64,
		 of, vfrt_reset_way_name(result->way), 4 * result->marked, 4 * result->moved, 4 * result->left[VFRT_RESET_SHARED],
		 4 * result->left[VFRT_RESET_BUSY], 4 * result->left[VFRT_RESET_NO_MEMORY],
		 4 * result->left[VFRT_RESET_GONE], 4 * result->left[VFRT_RESET_POLICY],
		 4 * result->left[VFRT_RESET_REFUSED]);
}

/* Under the mutex. */
static void finish(struct vfrt_reset *reset)
{
	struct vfrt_reset_result result;
	bool more = vfrt_reset_done(reset, &result);

	report(generation, &result);
	if (more && tries < TRIES) {
		due = kernel->now(kernel->context) + pauses[tries++];
		rest(reset);
	} else {
		vfrt_reset_end(reset);
	}
	pthread_cond_broadcast(&changed);
}

/* Under the mutex, which is released meanwhile. */
static void take_part(void)
{
	struct vfrt_reset *reset = running;

	workers++;
	pthread_mutex_unlock(&mutex);
	vfrt_reset_work(reset);
	pthread_mutex_lock(&mutex);
	if (--workers > 0)
		return;
	running = NULL;
	finish(reset);
}

void vfrt_reset_memory(uint64_t of, unsigned threads, enum vfrt_bind bind)
{
	int cancel;
	bool again;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_mutex_lock(&mutex);
	/* What is being done for an older topology, or a smaller team, ends first. */
	while (preparing || (running && (of > generation || threads > dealt)))
		pthread_cond_wait(&changed, &mutex);
	again = of == generation && dealt > 0 && threads > dealt;
	if ((of > generation && threads > 0) || again) {
		generation = of;
		preparing = true;
		pthread_mutex_unlock(&mutex);
		prepare(threads, bind, again);
	}
	if (running && of == generation)
		take_part();
	pthread_mutex_unlock(&mutex);
	pthread_setcancelstate(cancel, NULL);
}

void vfrt_reset_memory_again(void)
{
	struct vfrt_reset *reset;
	int rc, module, cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_mutex_lock(&mutex);
	if (resting && !preparing && !running && kernel->now(kernel->context) >= due) {
		reset = resting;
		rest(NULL);
		preparing = true;
		pthread_mutex_unlock(&mutex);
		vfrt_lock();
		module = vfrt_module();
		vfrt_unlock();
		rc = vfrt_reset_again(reset, module);
		if (rc < 0)
			vfrt_reset_end(reset);
		end_preparing(reset, rc);
		if (running)
			take_part();
	}
	pthread_mutex_unlock(&mutex);
	pthread_setcancelstate(cancel, NULL);
}
