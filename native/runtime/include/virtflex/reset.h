/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placement reset: after threads have moved, memory follows them.
 *
 * There are three ways, and the first that the kernel offers is taken.  None needs
 * a privilege.
 *
 *   next touch	migrate_next_touch() of a patched kernel (kernel/patches) marks
 *		all memory, and each page moves when it is touched next
 *   module	an ioctl of virtflex.ko moves small private pages at once, and
 *		move_pages(2) the rest
 *   move_pages	on every kernel
 *
 * Other than the first, the ways are eager: in batches, by as many of the threads
 * that take part as are faster together.  A reset is one object that many threads
 * work on:
 *
 *	vfrt_reset_begin (reset, request, kernel)	one thread
 *	vfrt_reset_work (reset)				any number of them
 *	vfrt_reset_done (reset, result)			one, when all are back
 *	vfrt_reset_again (reset, module)		perhaps, later: then work again
 *	vfrt_reset_end (reset)				one
 *
 * Nothing here fails the program: what can't be moved is counted by reason.
 */
#ifndef VIRTFLEX_RESET_H
#define VIRTFLEX_RESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtflex/topology_page.h"

/* Sets of nodes: bit n is node n of the kernel. */
_Static_assert(VIRTFLEX_MAX_NODES == 64, "a set of nodes is a 64-bit number");

enum vfrt_reset_mode {
	/* Only what is on a node that isn't in request.nodes moves: to where
	 * there is free memory, preferably near. */
	VFRT_RESET_LEAVE,
	/* Also, each mapping of default policy is dealt in blocks to the nodes of
	 * request.block: as the static schedule deals an array that fills it. */
	VFRT_RESET_SPREAD,
};

struct vfrt_reset_request {
	enum vfrt_reset_mode mode;
	uint64_t nodes; /* where memory may be; not empty */
	/* Owner of each block, in order; only for VFRT_RESET_SPREAD. */
	unsigned blocks;
	uint8_t block[VIRTFLEX_MAX_CPUS];
	/* Number of the system call migrate_next_touch(), 0: there is none. */
	uint32_t call;
	/* Descriptor of the module's /proc/virtflex/topology, -1: there is none. */
	int module;
	/* Of the page. */
	uint8_t distance[VIRTFLEX_MAX_NODES][VIRTFLEX_MAX_NODES];
};

enum vfrt_reset_way {
	VFRT_RESET_WAY_NONE, /* nothing was done: see the return value */
	VFRT_RESET_WAY_NEXT_TOUCH,
	VFRT_RESET_WAY_MODULE,
	VFRT_RESET_WAY_MOVE_PAGES,
};

/* "next touch", "module", "move_pages" or "none". */
const char *vfrt_reset_way_name(enum vfrt_reset_way way);

/* Why a page is still where it was. */
enum vfrt_reset_reason {
	VFRT_RESET_SHARED,    /* mapped by other processes, too */
	VFRT_RESET_BUSY,      /* pinned, or in use by the kernel at every try */
	VFRT_RESET_NO_MEMORY, /* no node that it may go to has room */
	VFRT_RESET_GONE,      /* unmapped meanwhile, or swapped out */
	VFRT_RESET_POLICY,    /* bound to nodes none of which may be used */
	VFRT_RESET_REFUSED,   /* any other error of the kernel, a cpuset's say */
	VFRT_RESET_REASONS,
};

/* Of one round, in pages of 4 KiB, whatever the size of the page that moved. */
struct vfrt_reset_result {
	enum vfrt_reset_way way;
	uint64_t marked; /* to move at their next touch */
	uint64_t moved;
	uint64_t left[VFRT_RESET_REASONS];
};

/* What migrate_next_touch() says that it has done, in pages of 4 KiB. */
struct vfrt_next_touch {
	uint64_t marked, moved, left;
};

/* The kernel, or a test's. */
struct vfrt_reset_kernel {
	const char *proc;  /* "/proc/self" */
	const char *sysfs; /* "/sys" */
	/* As move_pages(2) of the calling process with MPOL_MF_MOVE; or a
	 * negative errno. */
	long (*move)(void *context, size_t count, void **page, const int *node, int *status);
	/* Makes present pages accessible that the kernel's NUMA balancing has
	 * marked: such pages move_pages takes for absent. */
	void (*wake)(void *context, size_t count, void **page);
	/* migrate_next_touch() of the calling process; or a negative errno. */
	long (*next_touch)(void *context, uint32_t call, uint64_t nodes,
			   struct vfrt_next_touch *done);
	/* As move, by the module: see virtflex/reset_ioctl.h. */
	long (*move_small)(void *context, int module, size_t count, void **page, const int *node,
			   int *status);
	/* Time, in ns. */
	uint64_t (*now)(void *context);
	void *context;
};

extern const struct vfrt_reset_kernel vfrt_reset_kernel;

struct vfrt_reset;

/* Chooses the way, and finds the process' memory as far as that needs it.  Returns 0 and sets *reset; -ENOENT where the
 * kernel has no NUMA (and there is nothing to do), -ENOMEM, or another negative
 * errno of reading the process' maps. */
int vfrt_reset_begin(struct vfrt_reset **reset, const struct vfrt_reset_request *request,
		     const struct vfrt_reset_kernel *kernel);

/* Moves, until nothing is left that no other thread has taken. */
void vfrt_reset_work(struct vfrt_reset *reset);

/* Sets *result to what was done since it began, the last time.  Returns whether
 * pages were left that may be able to move later: busy ones, and those for which
 * there was no room. */
bool vfrt_reset_done(struct vfrt_reset *reset, struct vfrt_reset_result *result);

/* Begins once more, by the same way, with the pieces of 16 MiB that these pages are
 * in, if they are mapped as they were.  module is as in the request, by now.
 * Returns 0, -ENOENT where there are none, or as vfrt_reset_begin. */
int vfrt_reset_again(struct vfrt_reset *reset, int module);

void vfrt_reset_end(struct vfrt_reset *reset);

/* Kernel's nodes that have memory; 0 where it doesn't tell. */
uint64_t vfrt_reset_memory_nodes(const char *sysfs);

#endif
