// SPDX-License-Identifier: GPL-2.0
#include "fake.h"

#include "../check.h"

#include <string.h>

struct page fake_pages[FAKE_PAGES];
struct balloon_stats balloon_stats;
long fake_free_supers, fake_free_smalls, fake_fail_after, fake_stop_after;
u64 fake_page_us, fake_super_us, fake_small_us, fake_longest_us, fake_slept_ms;
unsigned long fake_handed_over;
unsigned int fake_flags, fake_starved_calls;
bool vf_scrub = true, vf_other_pnode;

static ktime_t now_us;
static long managed;
static struct page *kept[FAKE_PAGES];
static unsigned long nr_kept;

void fake_reset(void)
{
	memset(fake_pages, 0, sizeof(fake_pages));
	for (unsigned long i = 0; i < FAKE_PAGES; i++) {
		fake_pages[i].free = true;
		fake_pages[i].backed = true;
		fake_pages[i].dirty = true;
	}
	balloon_stats.current_pages = FAKE_PAGES;
	balloon_stats.target_unpopulated = 0;
	managed = FAKE_PAGES;
	fake_free_supers = 0;
	fake_free_smalls = 0;
	fake_fail_after = -1;
	fake_stop_after = -1;
	fake_page_us = 0;
	fake_super_us = 0;
	fake_small_us = 0;
	fake_starved_calls = 0;
	fake_longest_us = 0;
	fake_slept_ms = 0;
	fake_handed_over = 0;
	nr_kept = 0;
}

/* A free block, as alloc_pages() would give it. NULL: there is none. */
struct page *fake_alloc(unsigned int order)
{
	unsigned long n = 1UL << order, pfn, i;

	for (pfn = 0; pfn < FAKE_PAGES; pfn += n) {
		for (i = 0; i < n && fake_pages[pfn + i].free; i++)
			;
		if (i < n)
			continue;
		for (i = 0; i < n; i++) {
			fake_pages[pfn + i].free = false;
			fake_pages[pfn + i].refs = !i;
			fake_pages[pfn + i].dirty = true;
		}
		return &fake_pages[pfn];
	}
	return NULL;
}

/* As drain.c keeps single pages. */
void fake_keep(struct page *page)
{
	__SetPageOffline(page);
	kept[nr_kept++] = page;
}

struct page *vf_drain_page(struct vf_node *node)
{
	return nr_kept ? kept[--nr_kept] : NULL;
}

enum vf_code vf_request_stop(void)
{
	if (fake_stop_after < 0)
		return VF_OK;
	if (!fake_stop_after)
		return VF_CANCELLED;
	fake_stop_after--;
	return VF_OK;
}

void spin_lock(spinlock_t *lock)
{
	CHECK(!lock->held);
	lock->held = true;
}

void spin_unlock(spinlock_t *lock)
{
	CHECK(lock->held);
	lock->held = false;
}

ktime_t ktime_get(void)
{
	return now_us;
}

void msleep(unsigned int ms)
{
	fake_slept_ms += ms;
	now_us += ms * 1000;
}

unsigned long page_to_pfn(const struct page *page)
{
	CHECK(page >= fake_pages && page < fake_pages + FAKE_PAGES);
	return page - fake_pages;
}

void __SetPageOffline(struct page *page)
{
	CHECK(!page->offline && !page->free, "page %lu", page_to_pfn(page));
	page->offline = true;
}

void __ClearPageOffline(struct page *page)
{
	CHECK(page->offline, "page %lu", page_to_pfn(page));
	page->offline = false;
}

void adjust_managed_page_count(struct page *page, long pages)
{
	managed += pages;
}

void clear_highpage(struct page *page)
{
	CHECK(page->backed && !page->free, "page %lu", page_to_pfn(page));
	page->dirty = false;
}

void __free_pages(struct page *page, unsigned int order)
{
	for (unsigned long i = 0; i < 1UL << order; i++) {
		CHECK(page[i].backed, "page %lu has no memory", page_to_pfn(page + i));
		CHECK(!page[i].free, "page %lu is free", page_to_pfn(page + i));
		CHECK(!page[i].offline, "page %lu is offline", page_to_pfn(page + i));
		CHECK(page[i].refs == !i, "page %lu has %d references", page_to_pfn(page + i),
		      page[i].refs);
		page[i].refs = 0;
		page[i].free = true;
	}
}

void split_page(struct page *page, unsigned int order)
{
	CHECK(page->refs == 1);
	for (unsigned long i = 1; i < 1UL << order; i++) {
		CHECK(page[i].refs == 0);
		page[i].refs = 1;
	}
}

/* As decrease_reservation() of Xen: page by page, and stops where it fails. */
static bool release(struct page *page, unsigned long pages)
{
	for (; pages--; page++) {
		if (!page->backed || !fake_fail_after)
			return false;
		if (fake_fail_after > 0)
			fake_fail_after--;
		CHECK(!page->free && !page->dirty, "page %lu was in use", page_to_pfn(page));
		page->backed = false;
		now_us += fake_page_us;
	}
	return true;
}

static bool populate(struct page *page, unsigned int order)
{
	long *left = order ? &fake_free_supers : &fake_free_smalls;

	if (!*left)
		return false;
	--*left;
	for (unsigned long i = 0; i < 1UL << order; i++) {
		CHECK(!page[i].backed, "page %lu would leak", page_to_pfn(page + i));
		CHECK(page[i].offline, "page %lu", page_to_pfn(page + i));
		page[i].backed = true;
	}
	return true;
}

int HYPERVISOR_memory_op(unsigned int op, struct xen_memory_reservation *r)
{
	ktime_t start = now_us;
	unsigned long i, pfn;
	bool out = op == XENMEM_decrease_reservation;

	CHECK(r->domid == DOMID_SELF && r->nr_extents && r->nr_extents <= 512);
	CHECK(r->extent_order == 0 || r->extent_order == VF_SUPER_ORDER);
	CHECK(out || op == XENMEM_populate_physmap);
	fake_flags = r->address_bits;
	if (fake_starved_calls) {
		fake_starved_calls--;
		now_us += 300000;
	}

	for (i = 0; i < r->nr_extents; i++) {
		pfn = r->extent_start[i];
		CHECK(pfn < FAKE_PAGES && pfn % (1UL << r->extent_order) == 0);
		now_us += r->extent_order ? fake_super_us : fake_small_us;
		if (out ? !release(&fake_pages[pfn], 1UL << r->extent_order) :
			  !populate(&fake_pages[pfn], r->extent_order))
			break;
	}
	if (now_us - start > (s64)fake_longest_us)
		fake_longest_us = now_us - start;
	return i;
}

int HYPERVISOR_hvm_op(unsigned int op, struct xen_hvm_get_mem_type *query)
{
	CHECK(op == HVMOP_get_mem_type && query->domid == DOMID_SELF);
	query->mem_type = fake_pages[query->pfn].backed ? 0 : HVMMEM_mmio_dm;
	return 0;
}

void xen_free_ballooned_pages(unsigned int n, struct page **pages)
{
	balloon_stats.target_unpopulated -= n;
	for (; n--; pages++) {
		CHECK(!(*pages)->offline && !(*pages)->backed && (*pages)->refs == 1);
		fake_handed_over++;
	}
}

/* Every page is in exactly one place, and every total says the same. */
void fake_check(const struct vf_node *node)
{
	const struct vf_balloon *b = &node->balloon;
	static unsigned char where[FAKE_PAGES];
	unsigned long taken = 0, supers = 0, smalls = 0, backed = 0;
	const struct page *page;

	memset(where, 0, sizeof(where));
	list_for_each_entry(page, &b->taken, lru) {
		CHECK(page->refs == 1);
		for (unsigned long i = 0; i < VF_SUPER_PAGES; i++) {
			CHECK(page[i].backed && page[i].offline && page[i].refs == !i);
			where[page_to_pfn(page + i)]++;
		}
		taken++;
	}
	list_for_each_entry(page, &b->supers, lru) {
		CHECK(page_to_pfn(page) % VF_SUPER_PAGES == 0);
		for (unsigned long i = 0; i < VF_SUPER_PAGES; i++) {
			CHECK(!page[i].backed && page[i].offline && page[i].refs == !i);
			where[page_to_pfn(page + i)]++;
		}
		supers++;
	}
	list_for_each_entry(page, &b->smalls, lru) {
		CHECK(!page->backed && page->offline && page->refs == 1);
		where[page_to_pfn(page)]++;
		smalls++;
	}
	for (unsigned long i = 0; i < nr_kept; i++)
		where[page_to_pfn(kept[i])]++;
	for (unsigned long i = 0; i < FAKE_PAGES; i++) {
		where[i] += fake_pages[i].free;
		CHECK(where[i] == 1, "page %lu is in %u places", i, where[i]);
		backed += fake_pages[i].backed;
	}

	CHECK(taken == b->nr_taken && supers == b->nr_supers && smalls == b->nr_smalls);
	CHECK(backed == (unsigned long)managed);
	CHECK(backed == balloon_stats.current_pages);
	CHECK(FAKE_PAGES - backed == vf_balloon_pages(node));
}
