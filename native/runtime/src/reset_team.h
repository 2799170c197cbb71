/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VFRT_RESET_TEAM_H
#define VFRT_RESET_TEAM_H

#include "virtflex/reset.h"

/* The nodes where memory may be, of a valid page. */
uint64_t vfrt_usable_nodes(const struct virtflex_topology_page *page);

/* What is placed by nodes needs no reset until others are usable. */
void vfrt_reset_placed(uint64_t nodes);

/* In a child of fork: the threads that worked on a reset aren't here. */
void vfrt_reset_forked(void);

/* For tests: another kernel than the one that we run on. */
void vfrt_reset_use(const struct vfrt_reset_kernel *kernel);

#endif
