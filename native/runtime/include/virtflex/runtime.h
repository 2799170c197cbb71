/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvirtflex-rt: what every OpenMP runtime that follows a changing NUMA
 * topology has in common.  A runtime (libgomp, an OMPT tool) calls:
 *
 *	vfrt_start ()		once, when it is loaded
 *	vfrt_changed (seen)	at every place where a thread may adapt
 *	vfrt_refresh ()		where it says yes, under vfrt_lock: then read
 *				vfrt_view () and adapt the team
 *	vfrt_bind_self (place, thread)	by every thread, for itself
 *	vfrt_reset_memory ()	by every thread, when it has
 *	vfrt_acknowledge ()	when the last of them has
 *	vfrt_memory_left ()	before an outermost team is formed: where it says
 *				yes, vfrt_reset_memory_again ()
 *
 * A thread that binds itself costs 20 us a change, one that is bound by another
 * thread some ms: hence no function to bind another one.
 *
 * Nothing here fails the program, raises or handles a signal, or writes to a
 * standard stream, stderr under VIRTFLEX_VERBOSE=1 excepted.
 *
 * Environment:
 *	VIRTFLEX_TOPOLOGY	the page; without it /proc/virtflex/topology
 *	VIRTFLEX_THREADS=follow	a number of threads that the user or the program
 *				set is no upper bound
 *	VIRTFLEX_VERBOSE=1	one line to stderr a change
 */
#ifndef VIRTFLEX_RUNTIME_H
#define VIRTFLEX_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "virtflex/cpus.h"
#include "virtflex/order.h"
#include "virtflex/places.h"
#include "virtflex/topology_page.h"

#define VFRT_NO_PLACE (-1)

/* What the process may use now.  Read it under vfrt_lock. */
struct vfrt_view {
	/* Of the page that this was made from; 0: no valid one was published
	 * so far, and the runtime behaves as if there were none. */
	uint64_t generation;
	/* Page (CPUs of online nodes that aren't evacuated) and start-up
	 * affinity (which a cgroup's cpuset contains).  Never empty: the
	 * start-up affinity alone where nothing of the page is in it. */
	struct vfrt_cpus allowed;
	/* CPUs that the page has online, of whatever node. */
	struct vfrt_cpus online;
	/* count 0 unless vfrt_set_places was called. */
	struct vfrt_places places;
	/* The copy that all of this was made from. */
	const struct virtflex_topology_page *page;
};

/* For vfrt_changed and vfrt_memory_left alone: where the generation is to be
 * read, and on the same cache line what it points to where there is no page.
 * Nothing else is on it: what is written at each barrier would take it from
 * all other CPUs. */
struct vfrt_poll {
	const uint64_t *generation;
	uint64_t seen;
	bool memory_left;
} __attribute__((aligned(64)));
/* Hidden, which the compiler has to know to address it directly. */
extern struct vfrt_poll vfrt_poll __attribute__((visibility("hidden")));

/* Whether a thread that adapted to the generation seen has to adapt again.
 * seen is 0 for one that never did.  One relaxed load of the page's generation;
 * false for ever where there is no page. */
static inline bool vfrt_changed(uint64_t seen)
{
	const uint64_t *word = __atomic_load_n(&vfrt_poll.generation, __ATOMIC_RELAXED);

	return __builtin_expect(__atomic_load_n(word, __ATOMIC_RELAXED) != seen, 0);
}

/* Reads the environment, the start-up affinity and the page.  Returns false
 * where there is no page to follow, and then nothing else need be called.  The
 * process registers with the publisher later, when a thread first refreshes: a
 * program that is linked with a runtime and never calls it holds up nobody.  May be
 * called again. */
bool vfrt_start(void);

/* When the runtime is unloaded, or the process ends: takes the process off the
 * publisher's list.  Other threads may still poll, and find no change. */
void vfrt_stop(void);

/* One lock guards the view, and what a runtime derives from it.  Held across
 * fork, so that a child finds it free. */
void vfrt_lock(void);
void vfrt_unlock(void);

/* Under the lock: makes the view that of the page, unless the page breaks its
 * ABI's limits: then the view stays as it was.  Returns the page's generation,
 * which is what the caller has seen now, either way. */
uint64_t vfrt_refresh(void);

/* Under the lock. */
const struct vfrt_view *vfrt_view(void);

/* Descriptor of the kernel module's page, under vfrt_lock; -1 where a file is
 * followed. */
int vfrt_module(void);

/* The text that places are made from, now and after every change; text is
 * copied.  Returns false, and there are no places, where it isn't one. */
bool vfrt_set_places(enum vfrt_places_syntax syntax, const char *text);

/* Under the lock: the CPUs that were allowed to the process when it started. */
const struct vfrt_cpus *vfrt_startup_cpus(void);

/* Under the lock: how many threads a team has that no clause fixes.  bound is
 * what OMP_NUM_THREADS or omp_set_num_threads asked for; 0: neither did.  While
 * all is there that the process could use, it is what was asked for, even if
 * that is more than there are CPUs: the stock runtimes know no other answer.
 * promised is the most that the program was told that it may be. */
unsigned vfrt_threads(unsigned long bound, unsigned promised);

/* Under the lock: the most that vfrt_threads() may ever return. */
unsigned vfrt_most_threads(unsigned long bound);

/* What is known of a thread's affinity.  A new thread has the mask of the one
 * that made it, and must not be taken for one that the program gave it. */
struct vfrt_thread {
	bool is_set;  /* set is the mask that we gave it last */
	bool has_own; /* own is the mask that the program gave it */
	struct vfrt_cpus set;
	struct vfrt_cpus own;
};

/* Of the calling thread; changes when that binds itself. */
const struct vfrt_thread *vfrt_thread(void);

/* By a new thread, before it first binds itself; creator as it was when it made
 * the thread. */
void vfrt_thread_inherit(const struct vfrt_thread *creator);

/* By a thread that another one confined from found to given, before it binds
 * itself again. */
void vfrt_thread_was_confined(const struct vfrt_cpus *found, const struct vfrt_cpus *given);

/* Without the lock: refreshes the view and sets the calling thread's affinity,
 * to the place of that number (modulo their count: it may be of an older view),
 * or with VFRT_NO_PLACE to the allowed CPUs.  A thread without a place whose own
 * mask the program narrowed keeps to that as far as it is allowed; if it gets CPUs
 * that it didn't have, it moves to one by its number in the team, thread.  Returns
 * the generation that the caller has seen now. */
uint64_t vfrt_bind_self(int place, unsigned thread);

/* Without the lock, by every thread of a team that has bound itself for a
 * generation and before it counts as adapted: memory follows the threads
 * (virtflex/reset.h).  The first one begins, where nodes that memory may be on
 * came or went and the kernel has several; the others help as long as there is
 * something to do.  threads is the size of the outermost team that the caller is
 * of, and bind says how that is bound; with 0 threads the caller only helps. */
void vfrt_reset_memory(uint64_t generation, unsigned threads, enum vfrt_bind bind);

/* Whether pages wait for another try.  One relaxed load. */
static inline bool vfrt_memory_left(void)
{
	return __builtin_expect(__atomic_load_n(&vfrt_poll.memory_left, __ATOMIC_RELAXED), 0);
}

/* Without the lock, by a thread that is in no team: tries what a reset has left
 * because it was busy or had no room, if it is time to, 10 ms, 100 ms and 1 s after
 * the try before.  By the calling thread alone. */
void vfrt_reset_memory_again(void);

/* Under the lock: tells the publisher that the process has adapted. */
void vfrt_acknowledge(uint64_t generation);

#endif
