/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * An ioctl of /proc/virtflex/topology: move_pages(2) for the calling process,
 * but faster, and only for what most memory is: small pages of private anonymous
 * mappings that no other process maps.
 */
#ifndef VIRTFLEX_RESET_IOCTL_H
#define VIRTFLEX_RESET_IOCTL_H

#include <linux/ioctl.h>

#include "topology_page.h"

/*
 * The three arrays are those of move_pages(2), as addresses: @page of void *,
 * @node and @status of int.  Pages go together if they are neighbours and go to
 * the same node.
 *
 * Returns 0, or -1 with EFAULT, EINVAL (more pages than VIRTFLEX_MOVE_MAX), EINTR
 * or ENOMEM.  Of each page, status is then its node or a negative errno:
 * EOPNOTSUPP for what isn't its to move (move_pages(2) may), EFAULT, EBUSY,
 * ENOMEM, EACCES (the cpuset), ENODEV as there.
 */
struct virtflex_move {
	VIRTFLEX_U64 count;
	VIRTFLEX_U64 page;
	VIRTFLEX_U64 node;
	VIRTFLEX_U64 status;
};

#define VIRTFLEX_MOVE_MAX (1u << 20)
#define VIRTFLEX_IOC_MOVE _IOW('V', 1, struct virtflex_move)

#endif
