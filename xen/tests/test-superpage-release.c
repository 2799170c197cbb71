/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * XENMEM_decrease_reservation of whole superpages: what is freed, where, when, in how many steps, and what is returned.
 *
 * Run in dom0. The domains are built here and have no vCPU running, so the counts are exact. With CONFIG_PERF_COUNTERS in Xen
 * the number of steps is checked too.
 */
#include "harness.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BASE 0x10000ul /* gfn of the first extent, aligned to 2 MiB */
#define NODE 1u
#define PATTERN 0x5a17f1e45a17f1e4ull

struct steps {
	long superpages, broken, freed_whole, pages;
};

static bool have_counters;

static struct steps steps(void)
{
	return (struct steps){
		.superpages = counter("guest superpages removed in one go"),
		.broken = counter("guest broken superpages removed in one go"),
		.freed_whole = counter("guest superpages freed as one block"),
		.pages = counter("guest pages removed one at a time"),
	};
}

/* Releases, and checks what it took. */
static void release_in(uint32_t domid, xen_pfn_t gfn, unsigned int order, unsigned int nr, int done, struct steps expected)
{
	struct steps taken;

	counters_reset();
	CHECK_EQ(release(domid, gfn, order, nr), done);
	if (!have_counters)
		return;
	taken = steps();
	CHECK_EQ(taken.superpages, expected.superpages);
	CHECK_EQ(taken.broken, expected.broken);
	CHECK_EQ(taken.freed_whole, expected.freed_whole);
	CHECK_EQ(taken.pages, expected.pages);
}

static void test_whole(void)
{
	enum { NR = 8 };
	uint32_t domid = domain_create(NR * SUPERPAGE_PAGES);
	long before;

	start("superpages that nobody else uses");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, NR, NODE), NR);
	before = node_free_of(NODE);
	release_in(domid, BASE, SUPERPAGE_ORDER, NR, NR, (struct steps){ .superpages = NR, .freed_whole = NR });
	CHECK_EQ(node_free_of(NODE) - before, NR * SUPERPAGE_PAGES);
	CHECK_EQ(domain_pages(domid), 0);
	CHECK(map_page(domid, BASE + 7) == NULL, "a released page can still be mapped");

	start("the same ones again");
	release_in(domid, BASE, SUPERPAGE_ORDER, NR, 0, (struct steps){ .pages = 1 });

	start("back in, and out in two parts");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, NR, NODE), NR);
	release_in(domid, BASE, SUPERPAGE_ORDER, 3, 3, (struct steps){ .superpages = 3, .freed_whole = 3 });
	CHECK_EQ(domain_pages(domid), (NR - 3) * SUPERPAGE_PAGES);
	release_in(domid, BASE + 3 * SUPERPAGE_PAGES, SUPERPAGE_ORDER, NR - 3, NR - 3,
		   (struct steps){ .superpages = NR - 3, .freed_whole = NR - 3 });
	CHECK_EQ(node_free_of(NODE) - before, NR * SUPERPAGE_PAGES);
	domain_destroy(domid);
}

static long fill(uint32_t domid, unsigned int order)
{
	long extents = 0;

	while (populate(domid, BASE + ((unsigned long)extents << order), order, 1, NODE) == 1)
		extents++;
	return extents;
}

static void test_half_a_gib(void)
{
	enum { NR = (512 << 20) / (SUPERPAGE_PAGES * XC_PAGE_SIZE) };
	/* All of them now: what Xen needs for a domain is taken from the node before that is full. */
	uint32_t domid = domain_create(NR * SUPERPAGE_PAGES), again = domain_create(2 * NR * SUPERPAGE_PAGES);
	uint32_t filler = domain_create(node_free_of(NODE));

	start("512 MiB, of a node that has no other free superpage: blocks of 2 MiB afterwards");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, NR, NODE), NR);
	fill(filler, SUPERPAGE_ORDER);
	release_in(domid, BASE, SUPERPAGE_ORDER, NR, NR, (struct steps){ .superpages = NR, .freed_whole = NR });
	/* Xen itself may have taken a few pages meanwhile, which broke a block or two. */
	CHECK(fill(again, SUPERPAGE_ORDER) >= NR - 2, "the released memory isn't in blocks of 2 MiB");
	domain_destroy(again);
	domain_destroy(filler);
	domain_destroy(domid);
}

static void test_large_extent(void)
{
	uint32_t domid = domain_create(4 * SUPERPAGE_PAGES);
	long before;

	start("an extent of two superpages, and one of the last page of one and the next superpage");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 4, NODE), 4);
	before = node_free_of(NODE);
	release_in(domid, BASE, SUPERPAGE_ORDER + 1, 1, 1, (struct steps){ .superpages = 2, .freed_whole = 2 });
	CHECK_EQ(node_free_of(NODE) - before, 2 * SUPERPAGE_PAGES);

	/* The gfn of an extent need not be aligned: pages up to the boundary, and from it on fewer than a superpage. */
	release_in(domid, BASE + 3 * SUPERPAGE_PAGES - 1, SUPERPAGE_ORDER, 1, 1, (struct steps){ .pages = SUPERPAGE_PAGES });
	CHECK_EQ(domain_pages(domid), SUPERPAGE_PAGES);
	domain_destroy(domid);
}

static void test_foreign_mapped(void)
{
	uint32_t domid = domain_create(2 * SUPERPAGE_PAGES);
	uint64_t *page;
	long before;

	start("a page that is mapped elsewhere");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 2, NODE), 2);
	page = map_page(domid, BASE + 77);
	if (!page)
		err(2, "mapping d%u", domid);
	page[0] = page[511] = PATTERN;
	before = node_free_of(NODE);
	release_in(domid, BASE, SUPERPAGE_ORDER, 2, 2, (struct steps){ .superpages = 2, .freed_whole = 1 });
	CHECK_EQ(node_free_of(NODE) - before, 2 * SUPERPAGE_PAGES - 1);
	CHECK_EQ(domain_pages(domid), 1);

	/* The same place gets another page; the mapping keeps the old one. */
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 1, NODE), 1);
	CHECK(page[0] == PATTERN && page[511] == PATTERN, "the page changed under its mapping");
	page[1] = ~PATTERN;
	unmap_page(page);
	CHECK_EQ(node_free_of(NODE) - before, SUPERPAGE_PAGES);
	CHECK_EQ(domain_pages(domid), SUPERPAGE_PAGES);
	page = map_page(domid, BASE + 77);
	CHECK(page && page[1] != ~PATTERN, "the new page is the old one");
	if (page)
		unmap_page(page);
	domain_destroy(domid);
}

static void test_grant_mapped(void)
{
	const uint32_t ref = 8;
	uint32_t domid = domain_create(SUPERPAGE_PAGES);
	xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
	xenforeignmemory_resource_handle *res;
	grant_entry_v1_t *table = NULL;
	uint64_t *page = NULL;
	long before;

	start("a page that is mapped by a grant");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 1, NODE), 1);
	res = xenforeignmemory_map_resource(fh, domid, XENMEM_resource_grant_table, XENMEM_resource_grant_table_id_shared, 0, 1,
					    (void **)&table, PROT_READ | PROT_WRITE, 0);
	if (res) {
		table[ref].domid = 0;
		table[ref].frame = BASE + 511;
		__sync_synchronize();
		table[ref].flags = GTF_permit_access;
		page = gnttab ? xengnttab_map_grant_ref(gnttab, domid, ref, PROT_READ | PROT_WRITE) : NULL;
	}
	if (!page) {
		CHECK(false, "cannot map a grant of d%u: %s", domid, strerror(errno));
		goto out;
	}
	page[0] = PATTERN;
	before = node_free_of(NODE);
	release_in(domid, BASE, SUPERPAGE_ORDER, 1, 1, (struct steps){ .superpages = 1 });
	CHECK_EQ(node_free_of(NODE) - before, SUPERPAGE_PAGES - 1);
	CHECK_EQ(domain_pages(domid), 1);
	CHECK(page[0] == PATTERN, "the page changed under its mapping");
	CHECK(xengnttab_unmap(gnttab, page, 1) == 0, "%s", strerror(errno));
	CHECK_EQ(node_free_of(NODE) - before, SUPERPAGE_PAGES);
	CHECK_EQ(domain_pages(domid), 0);
out:
	if (res)
		xenforeignmemory_unmap_resource(fh, res);
	if (gnttab)
		xengnttab_close(gnttab);
	domain_destroy(domid);
}

static void test_broken(void)
{
	uint32_t domid = domain_create(2 * SUPERPAGE_PAGES);
	uint64_t *page;
	long before;

	start("a broken superpage");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 2, NODE), 2);
	release_in(domid, BASE + 5, 0, 3, 3, (struct steps){ .pages = 3 });
	CHECK_EQ(populate(domid, BASE + 5, 0, 3, NODE), 3);
	before = node_free_of(NODE);
	release_in(domid, BASE, SUPERPAGE_ORDER, 1, 1, (struct steps){ .broken = 1 });
	CHECK_EQ(node_free_of(NODE) - before, SUPERPAGE_PAGES);
	CHECK_EQ(domain_pages(domid), SUPERPAGE_PAGES);
	CHECK(map_page(domid, BASE + 5) == NULL, "a released page can still be mapped");

	start("pages from all over, one of them mapped elsewhere");
	for (unsigned int i = 0; i < SUPERPAGE_PAGES; i++)
		CHECK_EQ(populate(domid, BASE + (i * 37) % SUPERPAGE_PAGES, 0, 1, NODE), 1);
	page = map_page(domid, BASE + 300);
	if (!page)
		err(2, "mapping d%u", domid);
	page[3] = PATTERN;
	before = node_free_of(NODE);
	release_in(domid, BASE, SUPERPAGE_ORDER, 1, 1, (struct steps){ .broken = 1 });
	CHECK_EQ(node_free_of(NODE) - before, SUPERPAGE_PAGES - 1);
	CHECK(page[3] == PATTERN, "the page changed under its mapping");
	unmap_page(page);
	CHECK_EQ(node_free_of(NODE) - before, SUPERPAGE_PAGES);

	start("a superpage again where a broken one was");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 1, NODE), 1);
	release_in(domid, BASE, SUPERPAGE_ORDER, 2, 2, (struct steps){ .superpages = 2, .freed_whole = 2 });
	domain_destroy(domid);
}

static void test_hole(void)
{
	const unsigned int hole = 100;
	uint32_t domid = domain_create(SUPERPAGE_PAGES);

	start("a superpage with a hole: as ever, what is before the hole goes, and the extent does not count");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 1, NODE), 1);
	release_in(domid, BASE + hole, 0, 1, 1, (struct steps){ .pages = 1 });
	release_in(domid, BASE, SUPERPAGE_ORDER, 1, 0, (struct steps){ .pages = hole + 1 });
	CHECK_EQ(domain_pages(domid), SUPERPAGE_PAGES - 1 - hole);
	domain_destroy(domid);
}

static void test_gigapage(void)
{
	uint32_t domid = domain_create(GIGAPAGE_PAGES);
	long free_pages[MAX_NODES], before;
	int nr = node_free(free_pages), node;

	start("a 1 GiB entry");
	for (node = 0; node < nr; node++)
		if (free_pages[node] >= (long)GIGAPAGE_PAGES && populate(domid, GIGAPAGE_PAGES, GIGAPAGE_ORDER, 1, node) == 1)
			break;
	if (node == nr) {
		skip("1 GiB entry", "no node has 1 GiB in one piece");
		goto out;
	}
	before = node_free_of(node);
	release_in(domid, GIGAPAGE_PAGES + 5 * SUPERPAGE_PAGES, SUPERPAGE_ORDER, 2, 2,
		   (struct steps){ .superpages = 2, .freed_whole = 2 });
	CHECK_EQ(node_free_of(node) - before, 2 * SUPERPAGE_PAGES);
	CHECK_EQ(populate(domid, GIGAPAGE_PAGES + 5 * SUPERPAGE_PAGES, SUPERPAGE_ORDER, 2, node), 2);

	start("an extent of 1 GiB");
	release_in(domid, GIGAPAGE_PAGES, GIGAPAGE_ORDER, 1, 1, (struct steps){ .superpages = 512, .freed_whole = 512 });
	CHECK_EQ(node_free_of(node) - before, GIGAPAGE_PAGES);
	CHECK_EQ(domain_pages(domid), 0);
out:
	domain_destroy(domid);
}

static void test_log_dirty(void)
{
	uint32_t domid = domain_create(4 * SUPERPAGE_PAGES);
	long before;

	start("a guest in log-dirty mode");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 4, NODE), 4);
	CHECK(xc_shadow_control(xch, domid, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL, 0) >= 0, "%s", strerror(errno));
	before = node_free_of(NODE);
	release_in(domid, BASE, SUPERPAGE_ORDER, 2, 2, (struct steps){ .superpages = 2, .freed_whole = 2 });
	CHECK_EQ(node_free_of(NODE) - before, 2 * SUPERPAGE_PAGES);
	CHECK(xc_shadow_control(xch, domid, XEN_DOMCTL_SHADOW_OP_OFF, NULL, 0) >= 0, "%s", strerror(errno));

	start("a guest out of log-dirty mode again");
	release_in(domid, BASE + 2 * SUPERPAGE_PAGES, SUPERPAGE_ORDER, 2, 2, (struct steps){ .superpages = 2, .freed_whole = 2 });
	CHECK_EQ(domain_pages(domid), 0);
	domain_destroy(domid);
}

static void test_populate_on_demand(void)
{
	enum { NR = 8 };
	uint32_t domid = domain_create(NR * SUPERPAGE_PAGES);
	xen_pfn_t list[NR];
	uint64_t total, cached, entries;
	void *page;

	start("populate on demand: entries without memory");
	for (unsigned int i = 0; i < NR; i++)
		list[i] = BASE + i * SUPERPAGE_PAGES;
	CHECK_EQ(xc_domain_set_pod_target(xch, domid, NR / 2 * SUPERPAGE_PAGES, NULL, NULL, NULL), 0);
	CHECK_EQ(xc_domain_populate_physmap(xch, domid, NR, SUPERPAGE_ORDER, XENMEMF_populate_on_demand, list), NR);
	CHECK_EQ(xc_domain_set_pod_target(xch, domid, NR / 2 * SUPERPAGE_PAGES, NULL, NULL, NULL), 0);
	CHECK_EQ(domain_pages(domid), NR / 2 * SUPERPAGE_PAGES);
	release_in(domid, list[0], SUPERPAGE_ORDER, 2, 2, (struct steps){});
	CHECK_EQ(xc_domain_get_pod_target(xch, domid, &total, &cached, &entries), 0);
	CHECK_EQ(entries, (NR - 2) * SUPERPAGE_PAGES);
	CHECK_EQ(total, NR / 2 * SUPERPAGE_PAGES);

	start("populate on demand: memory that the cache wants back");
	page = map_page(domid, list[2]);
	if (!page)
		err(2, "mapping d%u", domid);
	memset(page, 1, XC_PAGE_SIZE);
	unmap_page(page);
	CHECK_EQ(xc_domain_get_pod_target(xch, domid, NULL, &cached, &entries), 0);
	CHECK_EQ(entries, (NR - 3) * SUPERPAGE_PAGES);
	CHECK_EQ(cached, (NR / 2 - 1) * SUPERPAGE_PAGES);
	release_in(domid, list[2], SUPERPAGE_ORDER, 1, 1, (struct steps){});
	CHECK_EQ(xc_domain_get_pod_target(xch, domid, &total, &cached, &entries), 0);
	CHECK_EQ(cached, NR / 2 * SUPERPAGE_PAGES);
	CHECK_EQ(total, NR / 2 * SUPERPAGE_PAGES);

	start("populate on demand: memory that the cache does not want");
	for (unsigned int i = 3; i < NR; i++) {
		if (i == 4)
			continue; /* stays without memory */
		page = map_page(domid, list[i]);
		if (!page)
			err(2, "mapping d%u", domid);
		unmap_page(page);
	}
	release_in(domid, list[4], SUPERPAGE_ORDER, 1, 1, (struct steps){});
	CHECK_EQ(xc_domain_get_pod_target(xch, domid, &total, &cached, &entries), 0);
	CHECK_EQ(entries, 0);
	CHECK_EQ(total, NR / 2 * SUPERPAGE_PAGES);
	release_in(domid, list[5], SUPERPAGE_ORDER, 2, 2, (struct steps){ .superpages = 2, .freed_whole = 2 });
	CHECK_EQ(domain_pages(domid), (NR / 2 - 2) * SUPERPAGE_PAGES);
	domain_destroy(domid);
}

static void test_misuse(void)
{
	uint32_t domid = domain_create(SUPERPAGE_PAGES);
	xen_pfn_t gfn = BASE;

	start("misuse");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 1, NODE), 1);
	release_in(domid, 0, SUPERPAGE_ORDER, 1, 0, (struct steps){ .pages = 1 });
	release_in(domid, ~0ul << SUPERPAGE_ORDER, SUPERPAGE_ORDER, 1, 0, (struct steps){ .pages = 1 });
	release_in(domid, 1ul << 45, SUPERPAGE_ORDER, 1, 0, (struct steps){ .pages = 1 });
	CHECK(xc_domain_decrease_reservation(xch, 0x7ef0, 1, SUPERPAGE_ORDER, &gfn) <= 0, "no such domain");
	CHECK(xc_domain_decrease_reservation(xch, domid, 1, 40, &gfn) <= 0, "order 40");
	CHECK_EQ(domain_pages(domid), SUPERPAGE_PAGES);
	domain_destroy(domid);
}

static uint32_t racing;
static volatile bool stop;

static void *mapper(void *arg)
{
	unsigned int seed = (uintptr_t)arg;
	unsigned long *mapped = calloc(1, sizeof(*mapped));

	while (!stop) {
		volatile uint64_t *page = map_page(racing, BASE + rand_r(&seed) % (2 * SUPERPAGE_PAGES));

		if (!page)
			continue;
		page[1] = PATTERN;
		(*mapped)++;
		unmap_page((void *)page);
	}
	return mapped;
}

static void test_race(void)
{
	enum { ROUNDS = 200, MAPPERS = 3 };
	pthread_t threads[MAPPERS];
	unsigned long mapped = 0;
	long before;
	struct steps taken;

	start("mapping and unmapping pages while they are released");
	racing = domain_create(2 * SUPERPAGE_PAGES);
	stop = false;
	CHECK_EQ(populate(racing, BASE, SUPERPAGE_ORDER, 2, NODE), 2);
	settle();
	before = node_free_of(NODE);
	counters_reset();
	for (uintptr_t i = 0; i < MAPPERS; i++)
		if (pthread_create(&threads[i], NULL, mapper, (void *)(i + 1)))
			err(2, "pthread_create");
	for (unsigned int i = 0; i < ROUNDS; i++) {
		CHECK_EQ(release(racing, BASE, SUPERPAGE_ORDER, 2), 2);
		/* A page still mapped elsewhere counts against the domain's limit for that long. */
		while (populate(racing, BASE, SUPERPAGE_ORDER, 1, NODE) != 1)
			;
		while (populate(racing, BASE + SUPERPAGE_PAGES, SUPERPAGE_ORDER, 1, NODE) != 1)
			;
	}
	stop = true;
	for (unsigned int i = 0; i < MAPPERS; i++) {
		void *nr;

		pthread_join(threads[i], &nr);
		mapped += *(unsigned long *)nr;
		free(nr);
	}
	taken = steps();
	printf("  %lu mapped, %ld superpages removed, %ld of them freed whole\n", mapped, taken.superpages, taken.freed_whole);
	CHECK(mapped > 0, "nothing was mapped: no race");
	if (have_counters)
		CHECK_EQ(taken.superpages, 2 * ROUNDS);
	settle();
	CHECK_EQ(node_free_of(NODE), before);
	CHECK_EQ(domain_pages(racing), 2 * SUPERPAGE_PAGES);
	domain_destroy(racing);
}

enum { DESTROYED = 32 };

static bool balloon(uint32_t domid, unsigned int round __attribute__((unused)))
{
	return populate(domid, BASE, SUPERPAGE_ORDER, DESTROYED, NODE) == DESTROYED &&
	       release(domid, BASE, SUPERPAGE_ORDER, DESTROYED) == DESTROYED;
}

static void test_destroy(void)
{
	enum { ROUNDS = 5 };

	start("destroying the domain meanwhile");
	for (unsigned int round = 0; round < ROUNDS; round++)
		destroy_during(domain_create(DESTROYED * SUPERPAGE_PAGES), balloon);
}

int main(void)
{
	harness_open();
	have_counters = counter("guest superpages removed in one go") >= 0;
	if (!have_counters)
		skip("counts of steps", "this Xen has no performance counters, or not ours");

	run(test_whole);
	run(test_half_a_gib);
	run(test_large_extent);
	run(test_foreign_mapped);
	run(test_grant_mapped);
	run(test_broken);
	run(test_hole);
	run(test_gigapage);
	run(test_log_dirty);
	run(test_populate_on_demand);
	run(test_misuse);
	run(test_race);
	run(test_destroy);
	return harness_result();
}
