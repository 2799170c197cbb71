/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The balloon's arithmetic, apart from the kernel so that it can be tested in
 * user space. Sizes: KiB at the border to xenstore, 4 KiB pages inside.
 */
#ifndef VF_ARITH_H
#define VF_ARITH_H

#include <linux/bits.h>
#include <linux/types.h>

/* A superpage: 2 MiB, order 9. */
#define VF_SUPER_ORDER 9
#define VF_SUPER_PAGES BIT(VF_SUPER_ORDER)

#define VF_KIB_PER_PAGE 4

/* Actual and target may differ by this much when a request is done. */
#define VF_TOLERANCE_PAGES VF_SUPER_PAGES

u64 vf_ahead_us(unsigned long pages, u64 took_us, unsigned int mib_s);
u64 vf_actual_kib(u64 capacity_kib, unsigned long base_pages, unsigned long managed_pages);

/*
 * How much to ask of Xen in one hypercall. On a Xen that takes superpages
 * apart one page at a time a single extent takes seconds, and a vCPU can't
 * schedule within a hypercall; on one that doesn't, small batches only waste
 * time. So batches grow while they are quick and shrink when they aren't.
 */
#define VF_BATCH_MAX 512
#define VF_BATCH_QUICK_US 4000
#define VF_BATCH_LONG_US 20000

struct vf_batch {
	unsigned int size;
	unsigned int calls;
	u64 best_us;		/* the least that an extent took so far */
	bool whole;		/* page by page was tried, and is slower */
};

void vf_batch_init(struct vf_batch *batch);
void vf_batch_note(struct vf_batch *batch, unsigned int asked, u64 took_us);
bool vf_batch_too_slow(const struct vf_batch *batch);
void vf_batch_note_stepwise(struct vf_batch *batch, u64 took_us);

#endif
