/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a topology page: mapping one, one-load polling, a consistent and
 * validated copy.  The layout is native/abi's; a runtime and an agent read it
 * by the same code.
 *
 * Limit: a plain file that is truncated while it is mapped raises SIGBUS in
 * whoever reads it next, and only a signal handler, which a library must not
 * take from its program, could prevent that.  What can be checked is: the size
 * at mapping, and that the file can be written by its owner alone, who is root
 * or this user.  A publisher never truncates its page; the kernel module's
 * can't be.
 */
#ifndef VIRTFLEX_PAGE_H
#define VIRTFLEX_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "virtflex/file.h"
#include "virtflex/topology_page.h"

/* Who publishes a page, and so how a process registers. */
enum vfrt_publisher {
	VFRT_PUBLISHER_FILE,
	VFRT_PUBLISHER_KERNEL,
};

struct vfrt_mapping {
	const struct virtflex_topology_page *page;
	enum vfrt_publisher publisher;
	struct vfrt_file file; /* stays open: to the kernel module it is the registration */
};

/* Maps the page at path and checks its identity.  Returns 0, or a negative
 * errno: that of open, fstat or mmap; EPERM for a file that somebody else could
 * change; EINVAL for one that isn't a page of this ABI. */
int vfrt_map(struct vfrt_mapping *mapping, const char *path);

#define VFRT_UNMAPPED ((struct vfrt_mapping){ .file = { .fd = -1 } })

void vfrt_unmap(struct vfrt_mapping *mapping);

/* As vfrt_unmap, but the address stays readable, all zero, for threads that are
 * about to poll it. */
void vfrt_detach(struct vfrt_mapping *mapping);

/* One relaxed load; 0 means that nothing was published yet. */
static inline uint64_t vfrt_page_generation(const struct virtflex_topology_page *page)
{
	return __atomic_load_n(&page->generation, __ATOMIC_RELAXED);
}

/* Takes a consistent copy.  Returns 0; -EAGAIN where the publisher was writing
 * during every one of a bounded number of tries (it may have died: its
 * successor repairs the page); -EINVAL where the copy breaks a limit of the
 * ABI, and then *copy is not to be used, its generation excepted. */
int vfrt_copy(struct virtflex_topology_page *copy, const struct virtflex_topology_page *page);

#endif
