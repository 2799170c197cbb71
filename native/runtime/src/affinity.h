/* SPDX-License-Identifier: Apache-2.0 */
/* Affinity of the calling thread, and what the program itself made of it. */
#ifndef VFRT_AFFINITY_H
#define VFRT_AFFINITY_H

#include "virtflex/cpus.h"

/* The mask of the calling thread as it was set, CPUs that are offline now
 * included (sched_getaffinity leaves them out). */
struct vfrt_cpus vfrt_affinity_startup(void);

/*
 * Whether the program narrowed its mask: now is its mask, before what it was
 * when we last knew.  Judged on the CPUs that are online, as an offline one
 * shows in no mask, and never of a mask that lost them all, as the kernel then
 * resets it.
 */
bool vfrt_affinity_narrowed(const struct vfrt_cpus *now, const struct vfrt_cpus *before,
			    const struct vfrt_cpus *startup, const struct vfrt_cpus *online);

/* Notes what the program made of the calling thread's mask since we knew it,
 * now being that mask, and given the one that it has by our doing from here on. */
void vfrt_affinity_note(const struct vfrt_cpus *now, const struct vfrt_cpus *given,
			const struct vfrt_cpus *startup, const struct vfrt_cpus *online);

/* Binds the calling thread to a place. */
int vfrt_affinity_bind(const struct vfrt_cpus *place);

/* Confines the calling thread to the allowed CPUs, and among them to those of
 * its own mask where the program narrowed that and any of it is left.  Where CPUs
 * come that it didn't have, it moves to the one of that number (modulo their
 * count): the kernel would leave it beside others for many ms. */
int vfrt_affinity_confine(const struct vfrt_cpus *allowed, const struct vfrt_cpus *startup,
			  const struct vfrt_cpus *online, unsigned number);

#endif
