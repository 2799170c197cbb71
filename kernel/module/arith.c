// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>
#include <linux/minmax.h>

#include "arith.h"

/*
 * A superpage that takes longer is released page by page. How long it takes is
 * the least of some calls: a vCPU that has to wait for its CPU makes any of
 * them long.
 */
#define VF_SUPER_LONG_US 250000
#define VF_SUPER_LONG_TIMES 2

/**
 * vf_actual_kib() - what a node has, in the host's terms
 * @capacity_kib: the vnode's size when it is full
 * @base_pages: pages that Linux managed on it when it was full
 * @managed_pages: pages that Linux manages on it now
 *
 * The host counts every page of a vnode, Linux those that its allocator
 * manages; the difference (kernel image, memory map) is constant.
 */
u64 vf_actual_kib(u64 capacity_kib, unsigned long base_pages, unsigned long managed_pages)
{
	u64 missing;

	if (managed_pages >= base_pages)
		return capacity_kib;

	missing = (u64)(base_pages - managed_pages) * VF_KIB_PER_PAGE;
	return missing < capacity_kib ? capacity_kib - missing : 0;
}

/**
 * vf_ahead_us() - how long to wait so that pages don't move too fast
 * @pages: how many have moved
 * @took_us: microseconds that it took
 * @mib_s: MiB a second that are allowed, 0 for any
 */
u64 vf_ahead_us(unsigned long pages, u64 took_us, unsigned int mib_s)
{
	u64 due_us;

	if (!mib_s)
		return 0;

	due_us = (u64)pages * VF_KIB_PER_PAGE * 1000000 / 1024 / mib_s;
	return due_us > took_us ? due_us - took_us : 0;
}

void vf_batch_init(struct vf_batch *batch)
{
	batch->size = 1;
	batch->calls = 0;
	batch->best_us = U64_MAX;
	batch->whole = false;
}

/**
 * vf_batch_note() - learn from one hypercall
 * @batch: what is known so far
 * @asked: extents that it was asked for, at least 1
 * @took_us: microseconds that it took
 */
void vf_batch_note(struct vf_batch *batch, unsigned int asked, u64 took_us)
{
	if (took_us > VF_BATCH_LONG_US)
		batch->size = max(asked / 2, 1U);
	else if (took_us < VF_BATCH_QUICK_US && asked >= batch->size)
		batch->size = min(batch->size * 2, (unsigned int)VF_BATCH_MAX);

	batch->calls++;
	batch->best_us = min(batch->best_us, took_us / asked);
}

/* Whether superpages take so long that they are better released page by page. */
bool vf_batch_too_slow(const struct vf_batch *batch)
{
	return !batch->whole && batch->calls >= VF_SUPER_LONG_TIMES &&
	       batch->best_us > VF_SUPER_LONG_US;
}

/**
 * vf_batch_note_stepwise() - learn from a superpage that was released page by page
 * @batch: of the superpages
 * @took_us: microseconds that it took
 *
 * On a Xen that does the same with a whole one, both take as long. If this is
 * far longer, it was not Xen that was slow.
 */
void vf_batch_note_stepwise(struct vf_batch *batch, u64 took_us)
{
	if (took_us / 2 > batch->best_us)
		batch->whole = true;
}
