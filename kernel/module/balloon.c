// SPDX-License-Identifier: GPL-2.0
/*
 * The per-node balloon: gives a node's memory to Xen and takes it back, in
 * 2 MiB extents first and 4 KiB extents for what is left.
 *
 * A superpage that the balloon holds has the reference counts of an order-9
 * block: 1 on its head, 0 on the rest. A 4 KiB page has 1. Every page is
 * PageOffline, so that nobody who walks page frames (/proc/kcore, a crash
 * dump) touches memory that isn't there.
 *
 * Beside the stock balloon driver: it has pages of its own, which this one
 * never sees. Both keep balloon_stats.current_pages, the domain's size, and
 * each page's managed count, so every total stays true. The target
 * (memory/target, `xl mem-set`) is the stock driver's alone; the host changes
 * it when a request is done, so that driver has nothing to do.
 */
#include "virtflex.h"

#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/sched.h>

#include <asm/xen/hypercall.h>
#include <xen/balloon.h>
#include <xen/interface/hvm/hvm_op.h>
#include <xen/interface/memory.h>
#include <xen/page.h>

/* xen/include/public/memory.h; Linux' copy of that header lacks them. */
#define XENMEMF_NODE(n) (((n) + 1) << 8)
#define XENMEMF_EXACT_NODE_REQUEST BIT(17)
#define XENMEMF_VNODE BIT(18)

/* Frame numbers of one hypercall: what fits in a page. */
#define VF_FRAMES (PAGE_SIZE / sizeof(xen_pfn_t))

/* How long a pnode without free memory is asked again. */
#define VF_IN_RETRIES 6
#define VF_IN_RETRY_MS 20

struct vf_balloon_stats vf_balloon_stats;

static xen_pfn_t vf_frames[VF_FRAMES];
static struct vf_batch vf_out_batch, vf_in_batch;

void vf_balloon_init(struct vf_balloon *balloon)
{
	BUILD_BUG_ON(VF_BATCH_MAX > VF_FRAMES);

	spin_lock_init(&balloon->lock);
	INIT_LIST_HEAD(&balloon->taken);
	INIT_LIST_HEAD(&balloon->supers);
	INIT_LIST_HEAD(&balloon->smalls);
}

/* Pages of @node that Xen holds for this module. */
unsigned long vf_balloon_pages(const struct vf_node *node)
{
	return node->balloon.nr_supers * VF_SUPER_PAGES + node->balloon.nr_smalls;
}

static void vf_set_offline(struct page *page, unsigned long pages)
{
	page_offline_begin();
	for (; pages--; page++)
		__SetPageOffline(page);
	page_offline_end();
}

static void vf_clear_offline(struct page *page, unsigned long pages)
{
	for (; pages--; page++)
		__ClearPageOffline(page);
}

/* @pages at @page have come from Xen, or gone to it if negative. */
static void vf_account(struct page *page, long pages)
{
	adjust_managed_page_count(page, pages);
	balloon_stats.current_pages += pages;
}

/* Nothing of the guest's may be read by the next owner of the memory. */
static void vf_scrub_pages(struct page *page, unsigned long pages)
{
	/* With init_on_alloc the pages were cleared when we got them. */
	if (!vf_scrub || want_init_on_alloc(0))
		return;

	for (; pages--; page++) {
		clear_highpage(page);
		cond_resched();
	}
}

/*
 * One hypercall on the first @n of vf_frames. Returns how many extents it
 * did, which are the first ones; learns from how long it took.
 */
static unsigned int vf_memory_op(unsigned int op, unsigned int order, unsigned int n,
				 unsigned int flags, struct vf_batch *batch)
{
	struct xen_memory_reservation reservation = {
		.nr_extents = n,
		.extent_order = order,
		.address_bits = flags,
		.domid = DOMID_SELF,
	};
	ktime_t start = ktime_get();
	int done;

	set_xen_guest_handle(reservation.extent_start, vf_frames);
	done = HYPERVISOR_memory_op(op, &reservation);
	done = clamp(done, 0, (int)n);

	vf_batch_note(batch, n, ktime_us_delta(ktime_get(), start));
	cond_resched();
	return done;
}

static unsigned int vf_hyp_out(unsigned int order, unsigned int n)
{
	unsigned int done = vf_memory_op(XENMEM_decrease_reservation, order, n, 0, &vf_out_batch);

	vf_balloon_stats.calls_out++;
	if (order)
		vf_balloon_stats.supers_out += done;
	else
		vf_balloon_stats.smalls_out += done;
	return done;
}

/*
 * The memory comes from the pnode that backs @node, or, where the option
 * says so, rather from another one than not at all.
 */
static unsigned int vf_hyp_in(const struct vf_node *node, unsigned int order, unsigned int n)
{
	unsigned int flags = 0;
	unsigned int done;

	if (node->vnode >= 0) {
		flags = XENMEMF_NODE(node->vnode) | XENMEMF_VNODE;
		if (!vf_other_pnode)
			flags |= XENMEMF_EXACT_NODE_REQUEST;
	}

	done = vf_memory_op(XENMEM_populate_physmap, order, n, flags, &vf_in_batch);
	vf_balloon_stats.calls_in++;
	if (order)
		vf_balloon_stats.supers_in += done;
	else
		vf_balloon_stats.smalls_in += done;
	return done;
}

/* Whether there is memory behind @page. */
static bool vf_backed(struct page *page)
{
	struct xen_hvm_get_mem_type query = {
		.domid = DOMID_SELF,
		.pfn = page_to_pfn(page),
	};

	return !HYPERVISOR_hvm_op(HVMOP_get_mem_type, &query) &&
	       query.mem_type != HVMMEM_mmio_dm;
}

/**
 * vf_balloon_take() - take over a free superpage
 * @node: its node
 * @head: first page of an order-9 block that the caller has allocated
 *
 * The memory is still there: vf_balloon_out() gives it to Xen,
 * vf_balloon_untake() back to Linux.
 */
void vf_balloon_take(struct vf_node *node, struct page *head)
{
	struct vf_balloon *balloon = &node->balloon;

	vf_set_offline(head, VF_SUPER_PAGES);
	spin_lock(&balloon->lock);
	list_add_tail(&head->lru, &balloon->taken);
	balloon->nr_taken++;
	spin_unlock(&balloon->lock);
}

static struct page *vf_pop_taken(struct vf_balloon *balloon)
{
	struct page *head;

	spin_lock(&balloon->lock);
	head = list_first_entry_or_null(&balloon->taken, struct page, lru);
	if (head) {
		list_del(&head->lru);
		balloon->nr_taken--;
	}
	spin_unlock(&balloon->lock);
	return head;
}

static void vf_free_super(struct page *head)
{
	vf_clear_offline(head, VF_SUPER_PAGES);
	__free_pages(head, VF_SUPER_ORDER);
}

static void vf_free_small(struct page *page)
{
	vf_clear_offline(page, 1);
	__free_page(page);
}

/* Gives back to Linux what has been taken and is still there. */
void vf_balloon_untake(struct vf_node *node)
{
	struct page *head;

	while ((head = vf_pop_taken(&node->balloon))) {
		vf_free_super(head);
		cond_resched();
	}
}

static void vf_small_is_out(struct vf_node *node, struct page *page)
{
	list_add_tail(&page->lru, &node->balloon.smalls);
	node->balloon.nr_smalls++;
	vf_account(page, -1);
}

/*
 * Xen refused @head, and may have released some of its pages before it did.
 * Every page goes to where it belongs now.
 */
static void vf_mend(struct vf_node *node, struct page *head)
{
	unsigned long i;

	vf_balloon_stats.mended++;
	split_page(head, VF_SUPER_ORDER);
	for (i = 0; i < VF_SUPER_PAGES; i++) {
		if (vf_backed(head + i))
			vf_free_small(head + i);
		else
			vf_small_is_out(node, head + i);
		cond_resched();
	}
}

/* Releases a superpage in small steps, for a Xen that would take seconds. */
static bool vf_out_stepwise(struct page *head)
{
	struct vf_batch batch;
	ktime_t start = ktime_get();
	unsigned long done = 0;
	unsigned int i, n;

	vf_batch_init(&batch);
	swap(batch, vf_out_batch);
	while (done < VF_SUPER_PAGES) {
		n = min_t(unsigned long, vf_out_batch.size, VF_SUPER_PAGES - done);
		for (i = 0; i < n; i++)
			vf_frames[i] = page_to_pfn(head) + done + i;
		i = vf_hyp_out(0, n);
		done += i;
		if (i < n)
			break;
	}
	swap(batch, vf_out_batch);

	vf_batch_note_stepwise(&vf_out_batch, ktime_us_delta(ktime_get(), start));
	return done == VF_SUPER_PAGES;
}

static void vf_super_is_out(struct vf_node *node, struct page *head)
{
	list_add_tail(&head->lru, &node->balloon.supers);
	node->balloon.nr_supers++;
	vf_account(head, -(long)VF_SUPER_PAGES);
}

/* One hypercall's worth of taken superpages, at most @max. False: none left. */
static bool vf_out_supers(struct vf_node *node, unsigned long max)
{
	bool stepwise = vf_batch_too_slow(&vf_out_batch);
	struct page *head, *next;
	unsigned int n = 0, done;
	LIST_HEAD(batch);

	max = stepwise ? 1 : min_t(unsigned long, max, vf_out_batch.size);
	while (n < max) {
		head = vf_pop_taken(&node->balloon);
		if (!head)
			break;
		vf_scrub_pages(head, VF_SUPER_PAGES);
		list_add_tail(&head->lru, &batch);
		vf_frames[n++] = page_to_pfn(head);
	}
	if (!n)
		return false;

	if (stepwise) {
		head = list_first_entry(&batch, struct page, lru);
		done = vf_out_stepwise(head);
	} else {
		done = vf_hyp_out(VF_SUPER_ORDER, n);
	}

	list_for_each_entry_safe(head, next, &batch, lru) {
		list_del(&head->lru);
		if (done) {
			vf_super_is_out(node, head);
			done--;
			continue;
		}
		/* The one that it stopped at; those behind it are untouched. */
		vf_mend(node, head);
		break;
	}
	list_for_each_entry_safe(head, next, &batch, lru) {
		list_del(&head->lru);
		vf_clear_offline(head, VF_SUPER_PAGES);
		vf_balloon_take(node, head);
	}
	return true;
}

/* A page to give away: one that the drain kept, or of a taken superpage. */
static struct page *vf_pop_small(struct vf_node *node, struct list_head *spare)
{
	struct page *page, *head;
	unsigned long i;

	page = vf_drain_page(node);
	if (page)
		return page;

	if (list_empty(spare)) {
		head = vf_pop_taken(&node->balloon);
		if (!head)
			return NULL;
		split_page(head, VF_SUPER_ORDER);
		for (i = 0; i < VF_SUPER_PAGES; i++)
			list_add_tail(&head[i].lru, spare);
	}

	page = list_first_entry(spare, struct page, lru);
	list_del(&page->lru);
	return page;
}

/* Releases up to @max 4 KiB pages. */
static void vf_out_smalls(struct vf_node *node, unsigned long max)
{
	struct page *page, *next;
	LIST_HEAD(spare);

	while (max && !vf_request_stop()) {
		unsigned int n = 0, done;
		LIST_HEAD(batch);

		while (n < min_t(unsigned long, max, vf_out_batch.size)) {
			page = vf_pop_small(node, &spare);
			if (!page)
				break;
			vf_scrub_pages(page, 1);
			list_add_tail(&page->lru, &batch);
			vf_frames[n++] = page_to_pfn(page);
		}
		if (!n)
			break;

		done = vf_hyp_out(0, n);
		max -= done;
		n -= done;
		list_for_each_entry_safe(page, next, &batch, lru) {
			list_del(&page->lru);
			if (done) {
				vf_small_is_out(node, page);
				done--;
			} else {
				vf_free_small(page);
			}
		}
		if (n)
			break;
	}

	list_for_each_entry_safe(page, next, &spare, lru) {
		list_del(&page->lru);
		vf_free_small(page);
	}
}

/**
 * vf_balloon_out() - give memory that was taken to Xen
 * @node: the node
 * @pages: how much, in 4 KiB pages
 *
 * Stops early when vf_request_stop() says so, or nothing is left to give.
 *
 * Return: pages that have gone.
 */
unsigned long vf_balloon_out(struct vf_node *node, unsigned long pages)
{
	unsigned long before = vf_balloon_pages(node);
	unsigned long gone = 0;

	vf_batch_init(&vf_out_batch);
	while (pages - gone >= VF_SUPER_PAGES && !vf_request_stop()) {
		if (!vf_out_supers(node, (pages - gone) / VF_SUPER_PAGES))
			break;
		gone = vf_balloon_pages(node) - before;
	}

	vf_batch_init(&vf_out_batch);
	if (pages > gone)
		vf_out_smalls(node, pages - gone);
	return vf_balloon_pages(node) - before;
}

/* Makes 4 KiB pages of the first superpage that Xen holds. */
static void vf_break_super(struct vf_node *node)
{
	struct vf_balloon *balloon = &node->balloon;
	struct page *head = list_first_entry(&balloon->supers, struct page, lru);
	unsigned long i;

	list_del(&head->lru);
	balloon->nr_supers--;
	split_page(head, VF_SUPER_ORDER);
	for (i = 0; i < VF_SUPER_PAGES; i++)
		list_add_tail(&head[i].lru, &balloon->smalls);
	balloon->nr_smalls += VF_SUPER_PAGES;
}

/* One hypercall's worth of superpages, at most @max. Returns how many. */
static unsigned int vf_in_supers(struct vf_node *node, unsigned long max)
{
	struct vf_balloon *balloon = &node->balloon;
	unsigned int n = 0, done, i;
	struct page *head, *next;

	max = min_t(unsigned long, max, vf_in_batch.size);
	list_for_each_entry(head, &balloon->supers, lru) {
		if (n == max)
			break;
		vf_frames[n++] = page_to_pfn(head);
	}
	if (!n)
		return 0;

	done = vf_hyp_in(node, VF_SUPER_ORDER, n);
	i = 0;
	list_for_each_entry_safe(head, next, &balloon->supers, lru) {
		if (i++ == done)
			break;
		list_del(&head->lru);
		balloon->nr_supers--;
		vf_account(head, VF_SUPER_PAGES);
		vf_free_super(head);
		cond_resched();
	}
	return done;
}

/* One hypercall's worth of 4 KiB pages, at most @max. Returns how many. */
static unsigned int vf_in_smalls(struct vf_node *node, unsigned long max)
{
	struct vf_balloon *balloon = &node->balloon;
	unsigned int n = 0, done, i;
	struct page *page, *next;

	max = min_t(unsigned long, max, vf_in_batch.size);
	list_for_each_entry(page, &balloon->smalls, lru) {
		if (n == max)
			break;
		vf_frames[n++] = page_to_pfn(page);
	}
	if (!n)
		return 0;

	done = vf_hyp_in(node, 0, n);
	i = 0;
	list_for_each_entry_safe(page, next, &balloon->smalls, lru) {
		if (i++ == done)
			break;
		list_del(&page->lru);
		balloon->nr_smalls--;
		vf_account(page, 1);
		vf_free_small(page);
	}
	return done;
}

/*
 * Something of @pages, whichever way there is. A pnode that has no superpage
 * left may still have single pages, so one superpage at a time is broken.
 */
static unsigned long vf_in_some(struct vf_node *node, unsigned long pages)
{
	struct vf_balloon *balloon = &node->balloon;
	unsigned int done;

	if (pages >= VF_SUPER_PAGES) {
		done = vf_in_supers(node, pages / VF_SUPER_PAGES);
		if (done)
			return done * VF_SUPER_PAGES;
	}

	if (!balloon->nr_smalls && balloon->nr_supers)
		vf_break_super(node);
	return vf_in_smalls(node, pages);
}

/**
 * vf_balloon_in() - take memory back from Xen and give it to Linux
 * @node: the node
 * @pages: how much, in 4 KiB pages
 *
 * Stops early when vf_request_stop() says so, or Xen has had none to give
 * for a while, or nothing is out.
 *
 * Return: pages that have come.
 */
unsigned long vf_balloon_in(struct vf_node *node, unsigned long pages)
{
	unsigned int tries = 0, wait_ms = VF_IN_RETRY_MS;
	unsigned long come = 0, some;

	vf_batch_init(&vf_in_batch);
	pages = min(pages, vf_balloon_pages(node));
	while (come < pages && !vf_request_stop()) {
		some = vf_in_some(node, pages - come);
		come += some;
		if (some) {
			tries = 0;
			wait_ms = VF_IN_RETRY_MS;
			continue;
		}
		if (++tries > VF_IN_RETRIES)
			break;
		msleep(wait_ms);
		wait_ms *= 2;
	}
	return come;
}

/**
 * vf_balloon_hand_over() - leave what Xen holds to the stock balloon driver
 * @node: the node
 *
 * For a module that must go while Xen has no memory to give back: the stock
 * driver goes on asking, to its own target, from whichever pnode.
 *
 * Return: pages handed over.
 */
unsigned long vf_balloon_hand_over(struct vf_node *node)
{
	struct vf_balloon *balloon = &node->balloon;
	unsigned long pages = 0;
	struct page *page;

	while (balloon->nr_supers)
		vf_break_super(node);

	while ((page = list_first_entry_or_null(&balloon->smalls, struct page, lru))) {
		list_del(&page->lru);
		balloon->nr_smalls--;
		vf_clear_offline(page, 1);
		/* It takes the page for one that it had lent out, and uncounts it. */
		balloon_stats.target_unpopulated++;
		xen_free_ballooned_pages(1, &page);
		pages++;
		cond_resched();
	}
	return pages;
}
