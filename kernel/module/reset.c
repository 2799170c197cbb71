// SPDX-License-Identifier: GPL-2.0
/*
 * The module's part in a placement reset: VIRTFLEX_IOC_MOVE, for kernels
 * without migrate_next_touch().
 *
 * migrate_vma_*() unmap and copy up to 512 neighbours together, where
 * move_pages(2) looks each page up by itself. They would split a THP, and they
 * move pages of other processes, too, so both are looked for before.
 */
#include "virtflex.h"

#include <linux/cpuset.h>
#include <linux/highmem.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <virtflex/reset_ioctl.h>

/* At once: what one page table maps. */
#define VF_MOVE_PAGES PTRS_PER_PTE

struct vf_mover {
	unsigned long addr[VF_MOVE_PAGES];
	int node[VF_MOVE_PAGES];
	int status[VF_MOVE_PAGES];
	struct page *page[VF_MOVE_PAGES];
	unsigned long src[VF_MOVE_PAGES];
	unsigned long dst[VF_MOVE_PAGES];
};

/* No status that a page can have. */
#define VF_MAY_MOVE INT_MIN

/* VF_MAY_MOVE, or the status of a page that stays. */
static int vf_page_status(struct page *page, int nid)
{
	if (!PageAnon(page) || PageKsm(page) || PageCompound(page) || page_mapcount(page) != 1)
		return -EOPNOTSUPP;
	return page_to_nid(page) == nid ? nid : VF_MAY_MOVE;
}

static int vf_node_status(int nid)
{
	if (nid < 0 || nid >= MAX_NUMNODES || !node_state(nid, N_MEMORY))
		return -ENODEV;
	return node_isset(nid, cpuset_current_mems_allowed) ? 0 : -EACCES;
}

/* Copies to pages of the node what has been unmapped. */
static void vf_copy(const struct migrate_vma *args, int nid, int *status)
{
	unsigned long i;

	for (i = 0; i < args->npages; i++) {
		struct page *from = migrate_pfn_to_page(args->src[i]);
		struct page *to;

		status[i] = -EBUSY;
		if (!from || !(args->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		to = alloc_pages_node(nid, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_NOWARN,
				      0);
		if (!to) {
			status[i] = -ENOMEM;
			continue;
		}
		lock_page(to);
		copy_highpage(to, from);
		args->dst[i] = migrate_pfn(page_to_pfn(to));
	}
}

/* @n neighbours from @addr on, all ours to move. */
static void vf_move_run(struct vf_mover *mover, unsigned long addr, unsigned long n, int nid,
			int *status)
{
	struct migrate_vma args = {
		.start = addr,
		.end = addr + n * PAGE_SIZE,
		.src = mover->src,
		.dst = mover->dst,
		.flags = MIGRATE_VMA_SELECT_SYSTEM,
	};
	struct mm_struct *mm = current->mm;
	unsigned long i;

	for (i = 0; i < n; i++)
		status[i] = -EOPNOTSUPP;
	memset(mover->src, 0, n * sizeof(*mover->src));
	memset(mover->dst, 0, n * sizeof(*mover->dst));

	mmap_read_lock(mm);
	args.vma = vma_lookup(mm, addr);
	if (args.vma && vma_is_anonymous(args.vma) && args.end <= args.vma->vm_end &&
	    !migrate_vma_setup(&args)) {
		vf_copy(&args, nid, status);
		migrate_vma_pages(&args);
		for (i = 0; i < n; i++)
			if (args.dst[i] && (args.src[i] & MIGRATE_PFN_MIGRATE))
				status[i] = nid;
		migrate_vma_finalize(&args);
	}
	mmap_read_unlock(mm);
}

/* @n neighbours from the @first of the batch on, all to one node. */
static void vf_move_neighbours(struct vf_mover *mover, unsigned long first, unsigned long n)
{
	unsigned long addr = mover->addr[first], i, run;
	int *status = mover->status + first;
	int nid = mover->node[first];
	int err = vf_node_status(nid);
	int found = 0;

	if (!err) {
		found = get_user_pages_fast(addr, n, 0, mover->page);
		if (found < 0)
			found = 0;
		err = -EFAULT;
	}
	for (i = 0; i < n; i++)
		status[i] = err;
	for (i = 0; i < found; i++) {
		status[i] = vf_page_status(mover->page[i], nid);
		put_page(mover->page[i]);
	}

	for (i = 0; i < n; i += run) {
		for (run = 0; i + run < n && status[i + run] == VF_MAY_MOVE; run++)
			;
		if (run)
			vf_move_run(mover, addr + i * PAGE_SIZE, run, nid, status + i);
		else
			run = 1;
	}
}

static void vf_move_batch(struct vf_mover *mover, unsigned long count)
{
	unsigned long first, n;

	for (first = 0; first < count; first += n) {
		for (n = 1; first + n < count; n++)
			if (mover->addr[first + n] != mover->addr[first] + n * PAGE_SIZE ||
			    mover->node[first + n] != mover->node[first])
				break;
		vf_move_neighbours(mover, first, n);
	}
}

/**
 * vf_reset_ioctl() - VIRTFLEX_IOC_MOVE
 * @cmd: of the ioctl
 * @arg: of the ioctl
 *
 * Return: 0 or a negative error.
 */
long vf_reset_ioctl(unsigned int cmd, unsigned long arg)
{
	struct virtflex_move move;
	unsigned long done, n, i;
	struct vf_mover *mover;
	long err = 0;

	if (cmd != VIRTFLEX_IOC_MOVE)
		return -ENOTTY;
	if (copy_from_user(&move, (void __user *)arg, sizeof(move)))
		return -EFAULT;
	if (move.count > VIRTFLEX_MOVE_MAX)
		return -EINVAL;

	mover = kvmalloc(sizeof(*mover), GFP_KERNEL_ACCOUNT);
	if (!mover)
		return -ENOMEM;

	for (done = 0; done < move.count && !err; done += n) {
		n = min_t(u64, move.count - done, VF_MOVE_PAGES);
		if (copy_from_user(mover->addr, u64_to_user_ptr(move.page) + done * 8, n * 8) ||
		    copy_from_user(mover->node, u64_to_user_ptr(move.node) + done * 4, n * 4)) {
			err = -EFAULT;
			break;
		}
		for (i = 0; i < n; i++)
			mover->addr[i] = untagged_addr(mover->addr[i]) & PAGE_MASK;
		vf_move_batch(mover, n);
		if (copy_to_user(u64_to_user_ptr(move.status) + done * 4, mover->status, n * 4))
			err = -EFAULT;
		else if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	kvfree(mover);
	return err;
}
