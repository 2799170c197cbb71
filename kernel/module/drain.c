// SPDX-License-Identifier: GPL-2.0
/*
 * Gets memory of a node into the balloon's hands.
 *
 * How a leaving node is isolated. Linux has three ways to keep allocations
 * off a range of memory:
 *
 *  - offlining memory blocks (offline_pages()): 128 MiB at a time and all or
 *    nothing, so that one slab page holds a whole block back, and a guest's
 *    boot memory always has one;
 *  - ZONE_MOVABLE: has to be chosen at boot, for nodes of which nobody knows
 *    yet that they will leave, and leaves the kernel nothing to live on;
 *  - alloc_contig_range(), as virtio-mem uses it: isolates, empties and hands
 *    over one 2 MiB block at a time, and says at once when a block can't go.
 *
 * This module takes the third. Its one flaw for the purpose, that migrated
 * pages prefer their own node, is met by taking everything that is free on
 * the node first: superpages for the balloon, smaller pieces to be kept from
 * everybody until their block is emptied. What is not free can't be
 * allocated, neither by a program nor as the destination of a migration.
 *
 * A block that holds an unmovable page gives only its free pages, as 4 KiB
 * extents; its movable pages stay until they are freed.
 */
#include "virtflex.h"

#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/oom.h>
#include <linux/page-flags.h>
#include <linux/page-isolation.h>
#include <linux/page_ref.h>
#include <linux/sched.h>

/* Free pages only: no reclaim, no reserves, no complaint, this node. */
#define VF_GFP_FREE ((GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_NOWARN | \
		      __GFP_NORETRY | __GFP_NOMEMALLOC) & ~__GFP_RECLAIM)

/* How long a drain that keeps to its rate sleeps before it looks for a reason to stop. */
#define VF_NAP_US 100000

/* Passes over a node that free nothing before it is said to be unmovable. */
#define VF_IDLE_PASSES 6
#define VF_IDLE_PASS_MS 50

/* Whether the rest of the guest can do with @pages less. */
static bool vf_room_for(unsigned long pages)
{
	unsigned long reserve = (unsigned long)vf_reserve_mib << (20 - PAGE_SHIFT);

	return si_mem_available() > reserve + pages;
}

/* Blocks that came online since the drain began have no bits. */
static bool vf_can_keep(const struct vf_balloon *balloon, unsigned long pfn)
{
	return pfn >= balloon->kept_start && pfn - balloon->kept_start < balloon->kept_pages;
}

static bool vf_is_kept(const struct vf_balloon *balloon, unsigned long pfn)
{
	return balloon->kept && vf_can_keep(balloon, pfn) &&
	       test_bit(pfn - balloon->kept_start, balloon->kept);
}

static void vf_keep(struct vf_balloon *balloon, struct page *page, unsigned int order)
{
	unsigned long first = page_to_pfn(page) - balloon->kept_start;
	unsigned long i;

	if (order)
		split_page(page, order);
	for (i = 0; i < 1UL << order; i++) {
		__SetPageOffline(page + i);
		set_bit(first + i, balloon->kept);
	}
	spin_lock(&balloon->lock);
	balloon->nr_kept += 1UL << order;
	spin_unlock(&balloon->lock);
}

/* The first kept page in [@from, @to), no longer kept; NULL if there is none. */
static struct page *vf_unkeep(struct vf_balloon *balloon, unsigned long from, unsigned long to)
{
	struct page *page = NULL;
	unsigned long bit;

	spin_lock(&balloon->lock);
	if (balloon->kept) {
		bit = find_next_bit(balloon->kept, to, from);
		if (bit < to) {
			clear_bit(bit, balloon->kept);
			balloon->nr_kept--;
			page = pfn_to_page(balloon->kept_start + bit);
		}
	}
	spin_unlock(&balloon->lock);
	return page;
}

static void vf_unkeep_range(struct vf_balloon *balloon, unsigned long from, unsigned long to)
{
	struct page *page;

	while ((page = vf_unkeep(balloon, from, to))) {
		from = page_to_pfn(page) - balloon->kept_start + 1;
		__ClearPageOffline(page);
		__free_page(page);
		cond_resched();
	}
}

/**
 * vf_drain_page() - a single page that the drain kept
 * @node: the node
 *
 * Return: the page, PageOffline, or NULL if there is none.
 */
struct page *vf_drain_page(struct vf_node *node)
{
	return vf_unkeep(&node->balloon, 0, node->balloon.kept_pages);
}

/* Takes free superpages, up to @enough pages in all. */
static void vf_take_free(struct vf_node *node, unsigned long enough)
{
	struct page *head;

	while (node->balloon.nr_taken * VF_SUPER_PAGES < enough && !vf_request_stop() &&
	       vf_room_for(VF_SUPER_PAGES)) {
		head = alloc_pages_node(node->nid, VF_GFP_FREE, VF_SUPER_ORDER);
		if (!head)
			break;
		vf_balloon_take(node, head);
		cond_resched();
	}
}

/* Keeps every free page of the node that is not part of a superpage. */
static void vf_keep_free(struct vf_node *node)
{
	struct page *page;
	int order;

	for (order = VF_SUPER_ORDER - 1; order >= 0; order--) {
		while (!vf_request_stop() && vf_room_for(1UL << order)) {
			page = alloc_pages_node(node->nid, VF_GFP_FREE, order);
			if (!page)
				break;
			if (!vf_can_keep(&node->balloon, page_to_pfn(page)) ||
			    !vf_can_keep(&node->balloon, page_to_pfn(page) + (1UL << order) - 1)) {
				__free_pages(page, order);
				break;
			}
			vf_keep(&node->balloon, page, order);
			cond_resched();
		}
	}
}

/* What a block of a superpage's size is made of. */
struct vf_block {
	unsigned int unmovable;	/* pages that nobody can move */
	unsigned int out;	/* pages that Xen holds already */
	unsigned int free;	/* pages that need not move, kept or not */
};

/*
 * Looks at a block without a lock: what it says may be false a moment later,
 * so it only decides what is worth trying, and what is reported.
 */
static void vf_look(struct vf_balloon *balloon, unsigned long pfn, struct vf_block *block)
{
	unsigned long end = pfn + VF_SUPER_PAGES;
	struct page *page, *head;
	unsigned int order;

	memset(block, 0, sizeof(*block));
	while (pfn < end) {
		page = pfn_to_page(pfn);
		if (PageOffline(page)) {
			if (vf_is_kept(balloon, pfn))
				block->free++;
			else
				block->out++;
			pfn++;
		} else if (PageBuddy(page)) {
			order = min_t(unsigned long, READ_ONCE(page->private), VF_SUPER_ORDER);
			block->free += 1UL << order;
			pfn += 1UL << order;
		} else if (PageCompound(page)) {
			head = compound_head(page);
			order = min_t(unsigned int, compound_order(head), VF_SUPER_ORDER);
			if (!PageLRU(head) && !PageHuge(head) && !__PageMovable(head))
				block->unmovable += min(1UL << order, end - pfn);
			pfn = min(page_to_pfn(head) + (1UL << order), end);
			pfn = max(pfn, page_to_pfn(page) + 1);
		} else {
			if (PageReserved(page) ||
			    (page_count(page) && !PageLRU(page) && !__PageMovable(page)))
				block->unmovable++;
			pfn++;
		}
	}
}

/* Whether @pfn begins a block that is online and all of @zone. */
static bool vf_block_in(struct zone *zone, unsigned long pfn)
{
	struct page *first = pfn_to_online_page(pfn);
	struct page *last = pfn_to_online_page(pfn + VF_SUPER_PAGES - 1);

	return first && last && page_zone(first) == zone && page_zone(last) == zone;
}

/* Waits until so many pages may have moved since @begin. */
static void vf_pace(unsigned int pages, ktime_t begin)
{
	u64 ahead = vf_ahead_us(pages, ktime_us_delta(ktime_get(), begin), vf_drain_mib_s);

	while (ahead && !vf_request_stop()) {
		unsigned long nap = min_t(u64, ahead, VF_NAP_US);

		fsleep(nap);
		ahead -= nap;
	}
}

/*
 * Empties one block, of *@moved pages. Returns 0, or -EBUSY or -ENOMEM as
 * alloc_contig_range().
 */
static int vf_take_block(struct vf_node *node, unsigned long pfn, unsigned int *moved)
{
	struct vf_balloon *balloon = &node->balloon;
	struct vf_block block;
	unsigned long i;
	int err;

	*moved = 0;
	vf_look(balloon, pfn, &block);
	if (block.unmovable || block.out)
		return -EBUSY;

	if (balloon->kept) {
		if (!vf_can_keep(balloon, pfn) || !vf_can_keep(balloon, pfn + VF_SUPER_PAGES - 1))
			return -EBUSY;
		vf_unkeep_range(balloon, pfn - balloon->kept_start,
				pfn - balloon->kept_start + VF_SUPER_PAGES);
	}

	err = alloc_contig_range(pfn, pfn + VF_SUPER_PAGES, MIGRATE_MOVABLE,
				 GFP_KERNEL | __GFP_NOWARN);
	if (err)
		return err;

	/*
	 * From 512 single pages to the one block that the balloon deals in. A
	 * lookup of the page cache may still hold one for a moment.
	 */
	for (i = 1; i < VF_SUPER_PAGES; i++) {
		if (page_ref_freeze(pfn_to_page(pfn + i), 1))
			continue;
		while (--i)
			page_ref_unfreeze(pfn_to_page(pfn + i), 1);
		free_contig_range(pfn, VF_SUPER_PAGES);
		return -EBUSY;
	}
	vf_balloon_take(node, pfn_to_page(pfn));
	*moved = VF_SUPER_PAGES - min_t(unsigned int, block.free, VF_SUPER_PAGES);
	node->moved_kib += *moved * VF_KIB_PER_PAGE;
	return 0;
}

/* Pages that the balloon could give to Xen now. */
static unsigned long vf_in_hand(const struct vf_node *node)
{
	return node->balloon.nr_taken * VF_SUPER_PAGES + node->balloon.nr_kept;
}

/*
 * One pass over the node, up to @pages in superpages. VF_BUSY: the pass
 * ended early, for want of memory elsewhere.
 */
static enum vf_code vf_pass(struct vf_node *node, unsigned long pages)
{
	bool isolate = node->balloon.kept;
	struct zone *zone;
	unsigned long pfn;
	int z;

	for (z = 0; z < MAX_NR_ZONES; z++) {
		zone = &NODE_DATA(node->nid)->node_zones[z];
		if (!populated_zone(zone))
			continue;

		for (pfn = ALIGN(zone->zone_start_pfn, VF_SUPER_PAGES);
		     pfn + VF_SUPER_PAGES <= zone_end_pfn(zone); pfn += VF_SUPER_PAGES) {
			enum vf_code stop = vf_request_stop();
			ktime_t begin = ktime_get();
			unsigned int moved;

			if (stop || node->balloon.nr_taken * VF_SUPER_PAGES >= pages)
				return stop;
			if (!vf_block_in(zone, pfn))
				continue;
			if (!vf_room_for(VF_SUPER_PAGES) ||
			    vf_take_block(node, pfn, &moved) == -ENOMEM)
				return VF_BUSY;
			if (isolate)
				vf_keep_free(node);
			vf_pace(moved, begin);
			cond_resched();
		}
	}
	return VF_OK;
}

static u64 vf_unmovable_kib(struct vf_node *node)
{
	struct vf_block block;
	struct zone *zone;
	unsigned long pfn;
	u64 pages = 0;
	int z;

	for (z = 0; z < MAX_NR_ZONES; z++) {
		zone = &NODE_DATA(node->nid)->node_zones[z];
		if (!populated_zone(zone))
			continue;

		for (pfn = ALIGN(zone->zone_start_pfn, VF_SUPER_PAGES);
		     pfn + VF_SUPER_PAGES <= zone_end_pfn(zone); pfn += VF_SUPER_PAGES) {
			if (!vf_block_in(zone, pfn))
				continue;
			vf_look(&node->balloon, pfn, &block);
			pages += block.unmovable;
			cond_resched();
		}
	}
	return pages * VF_KIB_PER_PAGE;
}

/**
 * vf_drain_begin() - get ready to drain a node
 * @node: the node
 * @isolate: it is leaving; keep everybody off it
 *
 * Return: VF_OK, VF_BUSY or what vf_request_stop() said. The
 * caller calls vf_drain_end() in any case.
 */
enum vf_code vf_drain_begin(struct vf_node *node, bool isolate)
{
	struct vf_balloon *balloon = &node->balloon;
	struct pglist_data *pgdat = NODE_DATA(node->nid);
	unsigned long *kept;

	node->moved_kib = 0;
	if (!isolate)
		return vf_request_stop();

	kept = kvcalloc(BITS_TO_LONGS(pgdat->node_spanned_pages), sizeof(*kept), GFP_KERNEL);
	if (!kept) {
		vf_request_why("no memory to isolate node %d", node->nid);
		return VF_BUSY;
	}

	balloon->kept_start = pgdat->node_start_pfn;
	balloon->kept_pages = pgdat->node_spanned_pages;
	spin_lock(&balloon->lock);
	balloon->kept = kept;
	spin_unlock(&balloon->lock);

	vf_take_free(node, ULONG_MAX);
	vf_keep_free(node);
	return vf_request_stop();
}

/**
 * vf_drain() - bring a node's memory into the balloon's hands
 * @node: the node, after vf_drain_begin()
 * @pages: how much would be right
 * @enough: how much will do, if no more can be had
 *
 * Return: VF_OK, VF_BUSY, or what vf_request_stop() said.
 */
enum vf_code vf_drain(struct vf_node *node, unsigned long pages, unsigned long enough)
{
	unsigned int idle = 0, wait_ms = VF_IDLE_PASS_MS;
	unsigned long before;
	bool no_room = false;
	enum vf_code code;

	do {
		before = vf_in_hand(node);

		vf_take_free(node, pages);
		code = vf_pass(node, pages);
		no_room = code == VF_BUSY;
		if (code && !no_room)
			return code;

		if (vf_in_hand(node) > before) {
			idle = 0;
			wait_ms = VF_IDLE_PASS_MS;
			continue;
		}
		if (vf_in_hand(node) >= enough || ++idle == VF_IDLE_PASSES)
			break;

		/* Pages may be pinned, or under writeback, for a moment only. */
		msleep(wait_ms);
		wait_ms *= 2;
		code = vf_request_stop();
		if (code)
			return code;
	} while (vf_in_hand(node) < pages);

	node->unmovable_kib = vf_unmovable_kib(node);
	if (vf_in_hand(node) >= enough)
		return VF_OK;

	if (no_room)
		vf_request_why("node %d: the other nodes have no room for its memory", node->nid);
	else
		vf_request_why("node %d: %lu KiB too much in use, %llu KiB unmovable", node->nid,
			       (enough - vf_in_hand(node)) * VF_KIB_PER_PAGE,
			       node->unmovable_kib);
	return VF_BUSY;
}

/**
 * vf_drain_end() - give back to Linux what was not given to Xen
 * @node: the node
 */
void vf_drain_end(struct vf_node *node)
{
	struct vf_balloon *balloon = &node->balloon;
	unsigned long *kept;

	vf_balloon_untake(node);
	vf_unkeep_range(balloon, 0, balloon->kept_pages);

	spin_lock(&balloon->lock);
	kept = balloon->kept;
	balloon->kept = NULL;
	spin_unlock(&balloon->lock);
	kvfree(kept);
}

/*
 * Out of memory, on behalf of whoever allocates: what has been taken and is
 * still there goes back, and the request fails rather than a program.
 */
static int vf_oom(struct notifier_block *nb, unsigned long unused, void *freed)
{
	unsigned long pages = 0;
	struct vf_node *node;

	for_each_vf_node(node) {
		unsigned long before = vf_in_hand(node), left;

		if (!before)
			continue;
		vf_balloon_untake(node);
		vf_unkeep_range(&node->balloon, 0, node->balloon.kept_pages);
		left = vf_in_hand(node);
		pages += before - min(before, left);
	}

	if (pages) {
		vf_request_event(VF_EVENT_OOM);
		*(unsigned long *)freed += pages;
	}
	return NOTIFY_OK;
}

static struct notifier_block vf_oom_nb = {
	.notifier_call = vf_oom,
};

int vf_drain_init(void)
{
	return register_oom_notifier(&vf_oom_nb);
}

void vf_drain_exit(void)
{
	unregister_oom_notifier(&vf_oom_nb);
}
