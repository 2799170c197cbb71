// SPDX-License-Identifier: GPL-2.0
/*
 * balloon.c on a fake hypervisor that fails where a real one hardly ever
 * does: half-way through a superpage, with no superpage left, at any call.
 */
#include "fake.h"

#include "check.h"

#include <string.h>

#define VNODE_FLAGS(v) ((((v) + 1) << 8) | 1 << 18)
#define EXACT (1 << 17)

static struct vf_node node;

static void begin(void)
{
	fake_reset();
	memset(&node, 0, sizeof(node));
	node.vnode = 2;
	vf_balloon_init(&node.balloon);
}

static void take(unsigned int supers)
{
	while (supers--) {
		struct page *head = fake_alloc(VF_SUPER_ORDER);

		CHECK(head);
		vf_balloon_take(&node, head);
	}
}

static void out_and_in(void)
{
	begin();
	take(16);
	CHECK(vf_balloon_out(&node, 10 * VF_SUPER_PAGES + 100) == 10 * VF_SUPER_PAGES + 100);
	fake_check(&node);
	CHECK(node.balloon.nr_supers == 10 && node.balloon.nr_smalls == 100);
	CHECK(node.balloon.nr_taken == 5, "the rest of the broken one went back");
	CHECK(fake_flags == 0);
	vf_balloon_untake(&node);
	fake_check(&node);

	fake_free_supers = 100;
	fake_free_smalls = 1000;
	CHECK(vf_balloon_in(&node, 4 * VF_SUPER_PAGES) == 4 * VF_SUPER_PAGES);
	CHECK(fake_flags == (VNODE_FLAGS(2) | EXACT), "%x", fake_flags);
	CHECK(node.balloon.nr_supers == 6 && node.balloon.nr_smalls == 100, "superpages first");
	CHECK(vf_balloon_in(&node, 50) == 50);
	CHECK(node.balloon.nr_supers == 6 && node.balloon.nr_smalls == 50);
	CHECK(vf_balloon_in(&node, 100) == 100, "a superpage is broken for the rest");
	CHECK(node.balloon.nr_supers == 5 && node.balloon.nr_smalls == VF_SUPER_PAGES - 50);
	fake_check(&node);
	CHECK(vf_balloon_in(&node, 1UL << 40) == 6 * VF_SUPER_PAGES - 50, "no more than is out");
	fake_check(&node);
	CHECK(vf_balloon_pages(&node) == 0 && vf_balloon_in(&node, 1) == 0);
}

static void nothing_to_give(void)
{
	begin();
	CHECK(vf_balloon_out(&node, 5000) == 0);
	take(2);
	CHECK(vf_balloon_out(&node, 5000) == 2 * VF_SUPER_PAGES);
	fake_check(&node);
}

static void kept_pages_go_first(void)
{
	begin();
	for (int i = 0; i < 30; i++)
		fake_keep(fake_alloc(0));
	take(2);
	CHECK(vf_balloon_out(&node, VF_SUPER_PAGES + 30) == VF_SUPER_PAGES + 30);
	CHECK(node.balloon.nr_taken == 1 && node.balloon.nr_smalls == 30);
	fake_check(&node);
}

/* Xen releases @pages pages and fails; with superpages, and page by page. */
static void fails_after(unsigned long pages, bool slow)
{
	unsigned long gone;

	begin();
	take(8);
	if (slow)
		fake_page_us = 6000;
	fake_fail_after = pages;
	gone = vf_balloon_out(&node, 6 * VF_SUPER_PAGES + 7);
	CHECK(gone == pages, "%lu of %lu", gone, pages);
	CHECK(vf_balloon_stats.mended || pages % VF_SUPER_PAGES == 0 || pages > 6 * VF_SUPER_PAGES);
	fake_check(&node);

	fake_fail_after = -1;
	fake_page_us = 0;
	vf_balloon_untake(&node);
	fake_check(&node);
	fake_free_supers = 100;
	fake_free_smalls = 1000;
	CHECK(vf_balloon_in(&node, gone) == gone);
	fake_check(&node);
	CHECK(balloon_stats.current_pages == FAKE_PAGES);
}

static void partial_releases(void)
{
	static const unsigned long after[] = {
		0, 1, 511, 512, 513, 1000, 1536, 6 * VF_SUPER_PAGES, 6 * VF_SUPER_PAGES + 3,
	};

	for (size_t i = 0; i < sizeof(after) / sizeof(*after); i++) {
		fails_after(after[i], false);
		fails_after(after[i], true);
	}
}

static void slow_hypervisor(void)
{
	begin();
	take(20);
	fake_page_us = 6000;
	CHECK(vf_balloon_out(&node, 20 * VF_SUPER_PAGES) == 20 * VF_SUPER_PAGES);
	fake_check(&node);
	CHECK(node.balloon.nr_supers == 20, "still superpages to us");
	CHECK(fake_longest_us == 6000 * VF_SUPER_PAGES, "two tries of a whole one");

	begin();
	take(2);
	fake_page_us = 6000;
	vf_balloon_out(&node, 2 * VF_SUPER_PAGES);
	take(10);
	fake_longest_us = 0;
	vf_balloon_out(&node, 1);
	CHECK(fake_longest_us <= 2 * VF_BATCH_LONG_US);
	fake_check(&node);
}

/* The first calls take long because others have the CPU; a whole superpage is quick all the same. */
static void starved(void)
{
	u64 before = vf_balloon_stats.smalls_out;

	begin();
	take(20);
	fake_starved_calls = 2;
	fake_small_us = 6000;
	fake_super_us = 2000;
	CHECK(vf_balloon_out(&node, 20 * VF_SUPER_PAGES) == 20 * VF_SUPER_PAGES);
	CHECK(vf_balloon_stats.smalls_out - before == VF_SUPER_PAGES, "one superpage page by page");
	fake_check(&node);
}

static void quick_hypervisor(void)
{
	u64 before = vf_balloon_stats.calls_out;

	begin();
	take(FAKE_SUPERS);
	fake_super_us = 100;
	CHECK(vf_balloon_out(&node, FAKE_PAGES) == FAKE_PAGES);
	CHECK(vf_balloon_stats.calls_out - before <= 6, "1, 2, 4, 8 and the rest");
	fake_check(&node);
}

static void pnode_is_full(void)
{
	begin();
	take(8);
	vf_balloon_out(&node, 8 * VF_SUPER_PAGES);

	CHECK(vf_balloon_in(&node, 3 * VF_SUPER_PAGES) == 0);
	CHECK(fake_slept_ms > 100 && fake_slept_ms < 5000, "bounded patience");
	fake_check(&node);

	fake_free_supers = 2;
	fake_free_smalls = 700;
	CHECK(vf_balloon_in(&node, 6 * VF_SUPER_PAGES) == 2 * VF_SUPER_PAGES + 700,
	      "superpages, then what there is");
	fake_check(&node);

	vf_other_pnode = true;
	fake_free_smalls = 1;
	vf_balloon_in(&node, 1);
	CHECK(fake_flags == VNODE_FLAGS(2), "preferred, not exact");
	vf_other_pnode = false;

	node.vnode = -1;
	fake_free_smalls = 1;
	vf_balloon_in(&node, 1);
	CHECK(fake_flags == 0, "a node that Xen doesn't know");
	fake_check(&node);
}

static void stops(void)
{
	begin();
	take(16);
	fake_super_us = 30000;
	fake_stop_after = 5;
	CHECK(vf_balloon_out(&node, 16 * VF_SUPER_PAGES) == 5 * VF_SUPER_PAGES);
	fake_check(&node);

	fake_free_supers = 100;
	fake_stop_after = 0;
	CHECK(vf_balloon_in(&node, 16 * VF_SUPER_PAGES) == 0);
	fake_check(&node);
}

static void handed_over(void)
{
	begin();
	take(3);
	vf_balloon_out(&node, 2 * VF_SUPER_PAGES + 5);
	vf_balloon_untake(&node);
	CHECK(vf_balloon_hand_over(&node) == 2 * VF_SUPER_PAGES + 5);
	CHECK(fake_handed_over == 2 * VF_SUPER_PAGES + 5);
	CHECK(balloon_stats.target_unpopulated == 0);
	CHECK(vf_balloon_pages(&node) == 0);
}

/* Anything, in any order: nothing is ever lost or in two places. */
static void anything(void)
{
	unsigned int seed = 20260101;
	struct page *page;

	begin();
	for (int round = 0; round < 20000; round++) {
		fake_fail_after = rand_r(&seed) % 3 ? -1 : (long)(rand_r(&seed) % 3000);
		fake_stop_after = rand_r(&seed) % 5 ? -1 : (long)(rand_r(&seed) % 4);
		fake_page_us = rand_r(&seed) % 7 ? 0 : rand_r(&seed) % 3000;
		fake_free_supers = rand_r(&seed) % 3 ? 50 : rand_r(&seed) % 3;
		fake_free_smalls = rand_r(&seed) % 3 ? 50000 : rand_r(&seed) % 600;

		switch (rand_r(&seed) % 5) {
		case 0:
			page = fake_alloc(VF_SUPER_ORDER);
			if (page)
				vf_balloon_take(&node, page);
			break;
		case 1:
			page = fake_alloc(0);
			if (page)
				fake_keep(page);
			break;
		case 2:
			vf_balloon_out(&node, rand_r(&seed) % 6000);
			break;
		case 3:
			vf_balloon_in(&node, rand_r(&seed) % 6000);
			break;
		default:
			if (rand_r(&seed) % 8 == 0)
				vf_balloon_untake(&node);
		}
		if (round % 16 == 0)
			fake_check(&node);
	}
	fake_check(&node);
}

int main(void)
{
	out_and_in();
	nothing_to_give();
	kept_pages_go_first();
	partial_releases();
	slow_hypervisor();
	starved();
	quick_hypervisor();
	pnode_is_full();
	stops();
	handed_over();
	anything();
	return passed();
}
