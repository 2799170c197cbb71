/* SPDX-License-Identifier: Apache-2.0 */
/* Being known to the publisher of the page, and answering it. */
#ifndef VFRT_REGISTRATION_H
#define VFRT_REGISTRATION_H

#include <stdint.h>

#include "virtflex/page.h"

/* registration becomes what the publisher is answered by.  Returns 0 or a negative
 * errno: ENOENT where a file's publisher keeps no list, ESTALE where path leads to
 * another page by now. */
int vfrt_register(struct vfrt_file *registration, const struct vfrt_mapping *mapping,
		  const char *path);

/* Descriptor of the kernel's page; -1 where the publisher is another, or the
 * descriptor isn't ours any more. */
int vfrt_kernel_page(const struct vfrt_file *registration,
		     const struct vfrt_mapping *mapping);
int vfrt_answer(const struct vfrt_file *registration, uint64_t generation);

/* Closes the descriptor of a registration that isn't the mapping's own. */
void vfrt_unregister(struct vfrt_file *registration, const struct vfrt_mapping *mapping);

#endif
