/* SPDX-License-Identifier: Apache-2.0 */
/* Being known to the publisher of the page, and answering it. */
#ifndef VFRT_REGISTRATION_H
#define VFRT_REGISTRATION_H

#include <stdint.h>
#include <sys/types.h>

#include "virtflex/page.h"

struct vfrt_registration {
	int fd; /* -1: none */
	/* Identity of what fd was opened on: a program may close descriptors
	 * that it doesn't know, and get the number again for a file of its own. */
	dev_t device;
	ino_t inode;
};

#define VFRT_UNREGISTERED ((struct vfrt_registration){ .fd = -1 })

/* Returns 0 or a negative errno; ENOENT where a file's publisher keeps no list. */
int vfrt_register(struct vfrt_registration *registration, const struct vfrt_mapping *mapping,
		  const char *path);

/* Descriptor of the kernel's page; -1 where the publisher is another, or the
 * descriptor isn't ours any more. */
int vfrt_kernel_page(const struct vfrt_registration *registration,
		     const struct vfrt_mapping *mapping);
int vfrt_answer(const struct vfrt_registration *registration, uint64_t generation);

/* Closes the descriptor of a registration that isn't the mapping's own. */
void vfrt_unregister(struct vfrt_registration *registration, const struct vfrt_mapping *mapping);

#endif
