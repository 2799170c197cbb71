/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * XEN_DOMCTL_rehome_memory and XEN_DOMCTL_set_vnode_pnode: what moves, what does not, and that nothing is lost or leaked.
 *
 * Run in dom0 of a host with at least two nodes. The domains are built here and have no vCPU running: see guest-pattern for a guest
 * that uses its memory meanwhile.
 */
#include "harness.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xen/domctl.h>
#include <xencall.h>

#define BASE 0x10000ul /* gfn of the first extent, aligned to 2 MiB */
#define WORDS (XC_PAGE_SIZE / sizeof(uint64_t))

static unsigned int nr_nodes;

static uint64_t word(xen_pfn_t gfn, unsigned int i)
{
	return (gfn << 16 | i) * 0x9e3779b97f4a7c15ull;
}

/* Maps a range for as long as it takes to fill it, or to count the words in it that are wrong. */
static long pattern(uint32_t domid, xen_pfn_t gfn, unsigned long nr, bool fill)
{
	const unsigned long batch = SUPERPAGE_PAGES;
	long wrong = 0;

	for (unsigned long done = 0; done < nr; done += batch) {
		unsigned long n = nr - done < batch ? nr - done : batch;
		xen_pfn_t list[batch];
		int bad[batch];
		uint64_t *pages;

		for (unsigned long i = 0; i < n; i++)
			list[i] = gfn + done + i;
		pages = xenforeignmemory_map(fh, domid, PROT_READ | PROT_WRITE, n, list, bad);
		if (!pages)
			err(2, "mapping d%u", domid);
		for (unsigned long i = 0; i < n * WORDS; i++) {
			if (bad[i / WORDS]) {
				wrong++;
				continue;
			}
			if (fill)
				pages[i] = word(list[i / WORDS], i % WORDS);
			else
				wrong += pages[i] != word(list[i / WORDS], i % WORDS);
		}
		xenforeignmemory_unmap(fh, pages, n);
	}
	return wrong;
}

#define LIMIT 1024

static xc_rehome_memory_t request(xen_pfn_t gfn, unsigned long nr, unsigned int pnode)
{
	return (xc_rehome_memory_t){ .pnode = pnode, .limit = LIMIT, .first_gfn = gfn, .nr_gfns = nr };
}

/* Goes on until all of the range was looked at, or until it fails. */
static int rehome_all(uint32_t domid, xc_rehome_memory_t *r)
{
	int rc;

	do {
		r->limit = LIMIT;
		rc = xc_domain_rehome_memory(xch, domid, r);
	} while (!rc && r->nr_gfns);
	return rc;
}

/* Moves all of a range. */
static xc_rehome_memory_t rehome(uint32_t domid, xen_pfn_t gfn, unsigned long nr, unsigned int pnode)
{
	xc_rehome_memory_t r = request(gfn, nr, pnode);

	CHECK(rehome_all(domid, &r) == 0, "%s", strerror(errno));
	CHECK_EQ(r.nr_gfns, 0);
	CHECK_EQ(r.first_gfn, gfn + nr);
	return r;
}

static void check_counts(int line, xc_rehome_memory_t r, unsigned long moved, unsigned long resident, unsigned long busy)
{
	check(r.moved == moved && r.resident == resident && r.busy == busy && r.unmovable == 0, __FILE__, line,
	      "moved %lu of %lu, resident %lu of %lu, busy %lu of %lu, unmovable %lu of 0", (long)r.moved, moved, (long)r.resident,
	      resident, (long)r.busy, busy, (long)r.unmovable);
}
#define CHECK_COUNTS(r, moved, resident, busy) check_counts(__LINE__, r, moved, resident, busy)

/* Two nodes' pages of a domain, as Xen counts them. */
static void check_on(int line, uint32_t domid, unsigned int node, unsigned long pages, unsigned int other, unsigned long others)
{
	uint64_t on[MAX_NODES];

	if (xc_domain_node_pages(xch, domid, MAX_NODES, on))
		check(false, __FILE__, line, "pages of d%u: %s", domid, strerror(errno));
	else
		check(on[node] == pages && on[other] == others, __FILE__, line, "%lu pages of %lu on node %u, %lu of %lu on node %u",
		      (long)on[node], pages, node, (long)on[other], others, other);
}
#define CHECK_ON(domid, node, pages, other, others) check_on(__LINE__, domid, node, pages, other, others)

/* A range goes round all nodes: contents, counts, and each node's free memory. */
static void round_trip(uint32_t domid, xen_pfn_t gfn, unsigned long nr, unsigned int node)
{
	CHECK_EQ(pattern(domid, gfn, nr, true), 0);
	settle();
	for (unsigned int i = 1; i <= nr_nodes; i++) {
		unsigned int to = (node + i) % nr_nodes, from = (node + i - 1) % nr_nodes;
		long from_free = node_free_of(from), to_free = node_free_of(to), pages = domain_pages(domid);
		xc_rehome_memory_t r = rehome(domid, gfn, nr, to);

		CHECK_COUNTS(r, nr, 0, 0);
		CHECK_EQ(node_free_of(from) - from_free, nr);
		CHECK_EQ(to_free - node_free_of(to), nr);
		CHECK_EQ(domain_pages(domid), pages);
		CHECK_EQ(pattern(domid, gfn, nr, false), 0);
		CHECK_COUNTS(rehome(domid, gfn, nr, to), 0, nr, 0);
	}
}

/* A counter's value has to be this, where there are counters. */
static void check_counter(int line, const char *name, long expected)
{
	long value = counter(name);

	if (value < 0)
		skip(name, "this Xen has no performance counters");
	else
		check(value == expected, __FILE__, line, "%s: %ld instead of %ld", name, value, expected);
}
#define CHECK_COUNTER(name, expected) check_counter(__LINE__, name, expected)

static void test_superpages(void)
{
	enum { NR = 8 };
	uint32_t domid = domain_create(NR * SUPERPAGE_PAGES);

	start("superpages, of a domain at its limit");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, NR, 0), NR);
	round_trip(domid, BASE, NR * SUPERPAGE_PAGES, 0);
	counters_reset();
	CHECK_EQ(release(domid, BASE, SUPERPAGE_ORDER, NR), NR);
	CHECK_COUNTER("guest superpages freed as one block", NR);
	domain_destroy(domid);
}

static void test_broken(void)
{
	enum { NR = 4 };
	uint32_t domid = domain_create(NR * SUPERPAGE_PAGES);
	void *page;

	start("broken superpages move in one go each, and become whole");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, NR, 0), NR);
	for (unsigned int i = 0; i < NR; i++) {
		CHECK_EQ(release(domid, BASE + i * SUPERPAGE_PAGES + 7 * i, 0, 1), 1);
		CHECK_EQ(populate(domid, BASE + i * SUPERPAGE_PAGES + 7 * i, 0, 1, 0), 1);
	}
	CHECK_EQ(pattern(domid, BASE, NR * SUPERPAGE_PAGES, true), 0);
	counters_reset();
	CHECK_COUNTS(rehome(domid, BASE, NR * SUPERPAGE_PAGES, 1), NR * SUPERPAGE_PAGES, 0, 0);
	CHECK_COUNTER("guest broken superpages moved in one go", NR);
	CHECK_COUNTER("guest broken superpages made whole", NR);
	CHECK_COUNTER("guest superpages moved as one", 0);
	CHECK_EQ(pattern(domid, BASE, NR * SUPERPAGE_PAGES, false), 0);
	counters_reset();
	CHECK_COUNTS(rehome(domid, BASE, NR * SUPERPAGE_PAGES, 0), NR * SUPERPAGE_PAGES, 0, 0);
	CHECK_COUNTER("guest broken superpages moved in one go", 0);
	CHECK_COUNTER("guest superpages moved as one", NR);

	start("a superpage of which a page is in use: the others move in one go");
	page = map_page(domid, BASE + 5);
	if (!page)
		err(2, "mapping d%u", domid);
	counters_reset();
	CHECK_COUNTS(rehome(domid, BASE, SUPERPAGE_PAGES, 1), SUPERPAGE_PAGES - 1, 0, 1);
	CHECK_COUNTER("guest broken superpages moved in one go", 1);
	CHECK_COUNTER("guest broken superpages made whole", 0);
	unmap_page(page);
	CHECK_COUNTS(rehome(domid, BASE, SUPERPAGE_PAGES, 1), 1, SUPERPAGE_PAGES - 1, 0);
	CHECK_EQ(pattern(domid, BASE, NR * SUPERPAGE_PAGES, false), 0);

	start("a broken superpage of which not all is RAM");
	CHECK_EQ(release(domid, BASE + 100, 0, 1), 1);
	CHECK_COUNTS(rehome(domid, BASE, SUPERPAGE_PAGES, 0), SUPERPAGE_PAGES - 1, 0, 0);
	CHECK_EQ(pattern(domid, BASE, 100, false), 0);
	CHECK_EQ(pattern(domid, BASE + 101, NR * SUPERPAGE_PAGES - 101, false), 0);
	domain_destroy(domid);
}

static void test_pages(void)
{
	uint32_t domid = domain_create(2 * SUPERPAGE_PAGES);

	start("single pages");
	for (unsigned int i = 0; i < 100; i++)
		CHECK_EQ(populate(domid, BASE + (i * 37) % 100, 0, 1, 0), 1);
	round_trip(domid, BASE, 100, 0);

	start("a part of a superpage");
	CHECK_EQ(populate(domid, BASE + SUPERPAGE_PAGES, SUPERPAGE_ORDER, 1, 0), 1);
	round_trip(domid, BASE + SUPERPAGE_PAGES + 100, 50, 0);
	CHECK_COUNTS(rehome(domid, BASE + SUPERPAGE_PAGES, SUPERPAGE_PAGES, 1), SUPERPAGE_PAGES, 0, 0);
	CHECK_COUNTS(rehome(domid, BASE, 2 * SUPERPAGE_PAGES, 0), SUPERPAGE_PAGES, 100, 0);
	domain_destroy(domid);
}

/* Whether a node has 1 GiB in one piece. */
static bool has_gigapage(unsigned int node)
{
	uint32_t domid = domain_create(GIGAPAGE_PAGES);
	bool has = populate(domid, GIGAPAGE_PAGES, GIGAPAGE_ORDER, 1, node) == 1;

	domain_destroy(domid);
	return has;
}

/*
 * Has a domain get a 1 GiB entry on @from, where @to has room for one, too: @whole if it has it in one piece. False where there are no such nodes.
 */
static bool gigapage(uint32_t domid, unsigned int *from, unsigned int *to, bool *whole)
{
	for (*from = 0; *from < nr_nodes; ++*from)
		if (populate(domid, GIGAPAGE_PAGES, GIGAPAGE_ORDER, 1, *from) == 1)
			break;
	for (*to = 0; *to < nr_nodes; ++*to)
		if (*to != *from && has_gigapage(*to))
			break;
	*whole = *to < nr_nodes;
	if (!*whole)
		for (*to = 0; *to < nr_nodes; ++*to)
			if (*to != *from && node_free_of(*to) > (long)(GIGAPAGE_PAGES + 4 * SUPERPAGE_PAGES))
				break;
	if (*from < nr_nodes && *to < nr_nodes)
		return true;
	skip("1 GiB entry", "no two nodes have 1 GiB, one of them in one piece");
	return false;
}

static void test_gigapage(void)
{
	uint32_t domid = domain_create(GIGAPAGE_PAGES);
	unsigned int from, to;
	bool whole;

	start("a 1 GiB entry moves as superpages of 2 MiB, and is one again");
	if (!gigapage(domid, &from, &to, &whole))
		goto out;
	CHECK_EQ(pattern(domid, GIGAPAGE_PAGES, 8 * SUPERPAGE_PAGES, true), 0);
	counters_reset();
	CHECK_COUNTS(rehome(domid, GIGAPAGE_PAGES, GIGAPAGE_PAGES, to), GIGAPAGE_PAGES, 0, 0);
	CHECK_COUNTER("guest superpages moved as one", GIGAPAGE_PAGES / SUPERPAGE_PAGES);
	CHECK_COUNTER("guest 1G superpages moved as one", whole);
	CHECK_COUNTS(rehome(domid, GIGAPAGE_PAGES, GIGAPAGE_PAGES, from), GIGAPAGE_PAGES, 0, 0);
	CHECK_COUNTER("guest 1G superpages moved as one", 2 * whole);
	CHECK_EQ(pattern(domid, GIGAPAGE_PAGES, 8 * SUPERPAGE_PAGES, false), 0);

	start("a part of a 1 GiB entry");
	CHECK_COUNTS(rehome(domid, GIGAPAGE_PAGES, 4 * SUPERPAGE_PAGES, to), 4 * SUPERPAGE_PAGES, 0, 0);
	CHECK_COUNTS(rehome(domid, GIGAPAGE_PAGES, GIGAPAGE_PAGES, to), GIGAPAGE_PAGES - 4 * SUPERPAGE_PAGES, 4 * SUPERPAGE_PAGES, 0);
	CHECK_COUNTER("guest 1G superpages moved as one", 2 * whole);
	counters_reset();
	CHECK_EQ(release(domid, GIGAPAGE_PAGES + 8 * SUPERPAGE_PAGES, SUPERPAGE_ORDER, 8), 8);
	CHECK_COUNTER("guest superpages freed as one block", 8);
	CHECK_EQ(pattern(domid, GIGAPAGE_PAGES, 8 * SUPERPAGE_PAGES, false), 0);
out:
	domain_destroy(domid);
}

enum end { OTHER_NODE, HOLE, DOMAIN_END, ENDS };

static void give_up_gigapage(uint32_t domid, enum end end)
{
	unsigned int from, to;
	xc_rehome_memory_t r;
	bool whole;
	long before;

	if (!gigapage(domid, &from, &to, &whole))
		return;
	if (!whole) {
		skip("1 GiB set aside", "no two nodes have 1 GiB in one piece");
		return;
	}
	r = request(GIGAPAGE_PAGES, GIGAPAGE_PAGES, to);
	before = node_free_of(to);
	CHECK_EQ(xc_domain_rehome_memory(xch, domid, &r), 0);
	CHECK(r.moved && r.moved < GIGAPAGE_PAGES, "%lu pages moved", (long)r.moved);
	CHECK_EQ(before - node_free_of(to), GIGAPAGE_PAGES);
	if (end == OTHER_NODE) {
		CHECK_COUNTS(rehome(domid, GIGAPAGE_PAGES, r.moved, from), r.moved, 0, 0);
		CHECK_EQ(node_free_of(to), before);
	} else if (end == HOLE) {
		CHECK_EQ(release(domid, r.first_gfn, SUPERPAGE_ORDER, 2), 2);
		CHECK_EQ(rehome_all(domid, &r), 0);
		CHECK_EQ(r.moved, GIGAPAGE_PAGES - 2 * SUPERPAGE_PAGES);
		CHECK_EQ(before - node_free_of(to), r.moved);
	}
}

static void test_gigapage_given_up(void)
{
	start("a 1 GiB entry whose move is given up");
	for (enum end end = OTHER_NODE; end < ENDS; end++) {
		uint32_t domid = domain_create(GIGAPAGE_PAGES);

		give_up_gigapage(domid, end);
		domain_destroy(domid);
	}
}

static void test_busy(void)
{
	uint32_t domid = domain_create(2 * SUPERPAGE_PAGES);
	uint64_t *page;

	start("a page that is mapped elsewhere");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 2, 0), 2);
	CHECK_EQ(pattern(domid, BASE, 2 * SUPERPAGE_PAGES, true), 0);
	page = map_page(domid, BASE + 100);
	if (!page)
		err(2, "mapping d%u", domid);
	CHECK_COUNTS(rehome(domid, BASE, 2 * SUPERPAGE_PAGES, 1), 2 * SUPERPAGE_PAGES - 1, 0, 1);
	page[7] = ~page[7];
	unmap_page(page);
	CHECK_EQ(pattern(domid, BASE, 2 * SUPERPAGE_PAGES, false), 1);
	CHECK_COUNTS(rehome(domid, BASE, 2 * SUPERPAGE_PAGES, 1), 1, 2 * SUPERPAGE_PAGES - 1, 0);
	CHECK_EQ(pattern(domid, BASE, 2 * SUPERPAGE_PAGES, false), 1);
	domain_destroy(domid);
}

static void test_granted(void)
{
	const uint32_t ref = 8;
	uint32_t domid = domain_create(SUPERPAGE_PAGES);
	xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
	xenforeignmemory_resource_handle *res;
	grant_entry_v1_t *table = NULL;
	uint64_t *page = NULL;

	start("a page that is mapped by a grant");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 1, 0), 1);
	res = xenforeignmemory_map_resource(fh, domid, XENMEM_resource_grant_table, XENMEM_resource_grant_table_id_shared, 0, 1,
					    (void **)&table, PROT_READ | PROT_WRITE, 0);
	if (res) {
		table[ref].domid = 0;
		table[ref].frame = BASE;
		__sync_synchronize();
		table[ref].flags = GTF_permit_access;
		page = gnttab ? xengnttab_map_grant_ref(gnttab, domid, ref, PROT_READ | PROT_WRITE) : NULL;
	}
	if (!page) {
		CHECK(false, "cannot map a grant of d%u: %s", domid, strerror(errno));
		goto out;
	}
	CHECK_COUNTS(rehome(domid, BASE, SUPERPAGE_PAGES, 1), SUPERPAGE_PAGES - 1, 0, 1);
	page[0] = 42;
	CHECK(xengnttab_unmap(gnttab, page, 1) == 0, "%s", strerror(errno));
	CHECK_COUNTS(rehome(domid, BASE, SUPERPAGE_PAGES, 1), 1, SUPERPAGE_PAGES - 1, 0);
	page = map_page(domid, BASE);
	CHECK(page && page[0] == 42, "what was written through the grant is lost");
	if (page)
		unmap_page(page);
out:
	if (res)
		xenforeignmemory_unmap_resource(fh, res);
	if (gnttab)
		xengnttab_close(gnttab);
	domain_destroy(domid);
}

static void test_log_dirty(void)
{
	uint32_t domid = domain_create(4 * SUPERPAGE_PAGES);
	xc_shadow_op_stats_t stats;

	start("a guest in log-dirty mode: moving is not writing");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 4, 0), 4);
	CHECK_EQ(pattern(domid, BASE, 4 * SUPERPAGE_PAGES, true), 0);
	CHECK(xc_shadow_control(xch, domid, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL, 0) >= 0, "%s", strerror(errno));
	CHECK_COUNTS(rehome(domid, BASE, 4 * SUPERPAGE_PAGES, 1), 4 * SUPERPAGE_PAGES, 0, 0);
	CHECK(xc_logdirty_control(xch, domid, XEN_DOMCTL_SHADOW_OP_PEEK, NULL, 0, 0, &stats) >= 0, "%s", strerror(errno));
	CHECK_EQ(stats.dirty_count, 0);
	CHECK(xc_shadow_control(xch, domid, XEN_DOMCTL_SHADOW_OP_OFF, NULL, 0) >= 0, "%s", strerror(errno));
	CHECK_COUNTS(rehome(domid, BASE, 4 * SUPERPAGE_PAGES, 0), 4 * SUPERPAGE_PAGES, 0, 0);
	CHECK_EQ(pattern(domid, BASE, 4 * SUPERPAGE_PAGES, false), 0);
	domain_destroy(domid);
}

static void test_populate_on_demand(void)
{
	uint32_t domid = domain_create(4 * SUPERPAGE_PAGES);
	xen_pfn_t list[4];
	uint64_t cached, entries;
	xc_rehome_memory_t r;
	void *page;

	start("populate on demand");
	for (unsigned int i = 0; i < 4; i++)
		list[i] = BASE + i * SUPERPAGE_PAGES;
	CHECK_EQ(xc_domain_set_pod_target(xch, domid, 2 * SUPERPAGE_PAGES, NULL, NULL, NULL), 0);
	CHECK_EQ(xc_domain_populate_physmap(xch, domid, 4, SUPERPAGE_ORDER, XENMEMF_populate_on_demand, list), 4);
	CHECK_EQ(xc_domain_set_pod_target(xch, domid, 2 * SUPERPAGE_PAGES, NULL, NULL, NULL), 0);
	CHECK_COUNTS(rehome(domid, BASE, 4 * SUPERPAGE_PAGES, 1), 0, 0, 0);
	page = map_page(domid, list[1]);
	if (!page)
		err(2, "mapping d%u", domid);
	memset(page, 0x77, XC_PAGE_SIZE);
	unmap_page(page);
	r = rehome(domid, BASE, 4 * SUPERPAGE_PAGES, 1);
	CHECK_EQ(r.moved + r.resident, SUPERPAGE_PAGES);
	r = rehome(domid, BASE, 4 * SUPERPAGE_PAGES, 0);
	CHECK_COUNTS(r, SUPERPAGE_PAGES, 0, 0);
	page = map_page(domid, list[1]);
	CHECK(page && *(uint32_t *)page == 0x77777777, "contents lost");
	if (page)
		unmap_page(page);
	CHECK_EQ(xc_domain_get_pod_target(xch, domid, NULL, &cached, &entries), 0);
	CHECK_EQ(entries, 3 * SUPERPAGE_PAGES);
	CHECK_EQ(cached, SUPERPAGE_PAGES);
	domain_destroy(domid);
}

/* A domain that takes what is free on a node, superpage by superpage. */
static uint32_t fill_node(unsigned int node, unsigned long *superpages)
{
	uint32_t domid = domain_create(node_free_of(node));

	*superpages = 0;
	while (populate(domid, BASE + *superpages * SUPERPAGE_PAGES, SUPERPAGE_ORDER, 1, node) == 1)
		++*superpages;
	return domid;
}

static void test_no_memory(void)
{
	enum { NR = 8 };
	uint32_t domid = domain_create(NR * SUPERPAGE_PAGES), filler;
	xc_rehome_memory_t r = request(BASE, NR * SUPERPAGE_PAGES, 1);
	unsigned long superpages, singles = 0;
	long pages;

	start("a node without enough memory: how far it got, and going on from there");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, NR, 0), NR);
	CHECK_EQ(pattern(domid, BASE, NR * SUPERPAGE_PAGES, true), 0);
	filler = fill_node(1, &superpages);
	/* Pages that have no superpage among them, but for fewer than 8 superpages. */
	while (populate(filler, BASE + superpages * SUPERPAGE_PAGES + singles, 0, 1, 1) == 1)
		singles++;
	CHECK_EQ(release(filler, BASE, SUPERPAGE_ORDER, 2), 2);
	CHECK(rehome_all(domid, &r) == -1 && errno == ENOMEM, "%s", strerror(errno));
	/* Xen needs a few pages itself meanwhile, which may be of this node. */
	CHECK(r.moved >= 2 * SUPERPAGE_PAGES - 8 && r.moved < 3 * SUPERPAGE_PAGES, "moved %ld", (long)r.moved);
	CHECK_EQ(r.first_gfn, BASE + r.moved);
	CHECK_EQ(r.nr_gfns, NR * SUPERPAGE_PAGES - r.moved);
	CHECK_EQ(pattern(domid, BASE, NR * SUPERPAGE_PAGES, false), 0);
	CHECK_EQ(release(filler, BASE + 2 * SUPERPAGE_PAGES, SUPERPAGE_ORDER, NR), NR);
	CHECK(rehome_all(domid, &r) == 0, "%s", strerror(errno));
	CHECK_COUNTS(r, NR * SUPERPAGE_PAGES, 0, 0);
	CHECK_EQ(r.nr_gfns, 0);
	CHECK_EQ(pattern(domid, BASE, NR * SUPERPAGE_PAGES, false), 0);

	start("a node without superpages");
	CHECK_COUNTS(rehome(domid, BASE, NR * SUPERPAGE_PAGES, 0), NR * SUPERPAGE_PAGES, 0, 0);
	for (unsigned int i = 0; i < NR + 2; i++)
		populate(filler, BASE + i * SUPERPAGE_PAGES, SUPERPAGE_ORDER, 1, 1);
	while (populate(filler, BASE + superpages * SUPERPAGE_PAGES + singles, 0, 1, 1) == 1)
		singles++;
	for (unsigned int i = 0; i < NR * SUPERPAGE_PAGES * 5 / 4; i++)
		CHECK_EQ(release(filler, BASE + (NR + 2) * SUPERPAGE_PAGES + 2 * i, 0, 1), 1);
	pages = domain_pages(domid);
	CHECK_COUNTS(rehome(domid, BASE, NR * SUPERPAGE_PAGES, 1), NR * SUPERPAGE_PAGES, 0, 0);
	CHECK_EQ(domain_pages(domid), pages);
	CHECK_EQ(pattern(domid, BASE, NR * SUPERPAGE_PAGES, false), 0);
	domain_destroy(filler);
	domain_destroy(domid);
}

static void fails(uint32_t domid, xc_rehome_memory_t r, int expected)
{
	xc_rehome_memory_t before = r;
	int rc = xc_domain_rehome_memory(xch, domid, &r);

	CHECK(rc == -1 && errno == expected, "d%u: %d, %s instead of %s", domid, rc, strerror(errno), strerrorname_np(expected));
	CHECK(!memcmp(&before, &r, sizeof(r)), "it did something");
}

static void test_misuse(void)
{
	struct xen_domctl_createdomain pv = {
		.max_vcpus = 1, .max_grant_frames = 1, .max_evtchn_port = 1023, .grant_opts = XEN_DOMCTL_GRANT_version(1),
	};
	uint32_t domid = domain_create(SUPERPAGE_PAGES), pv_domid = 0;
	xc_rehome_memory_t r = request(BASE, SUPERPAGE_PAGES, 1);
	void *page;

	start("misuse");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 1, 0), 1);
	r.limit = 0;
	fails(domid, r, EINVAL);
	fails(domid, request(BASE, 1, nr_nodes), EINVAL);
	fails(domid, request(BASE, 1, 64), EINVAL);
	fails(domid, request(BASE, 1, ~0u), EINVAL);
	fails(domid, request(BASE, ~0ul, 1), EINVAL);
	fails(domid, request(~0ul, 2, 1), EINVAL);
	fails(domid, request(1ul << 40, 1, 1), EINVAL);
	fails(0x7ef0, request(BASE, 1, 1), ESRCH);
	fails(0, request(BASE, 1, 1), EOPNOTSUPP);
	for (uint32_t special = DOMID_FIRST_RESERVED; special <= DOMID_IDLE; special++)
		fails(special, request(BASE, 1, 1), ESRCH);
	CHECK_EQ(domain_pages(domid), SUPERPAGE_PAGES);

	start("a limit");
	r.limit = 1;
	CHECK_EQ(xc_domain_rehome_memory(xch, domid, &r), 0);
	CHECK_EQ(r.limit, 0);
	CHECK_EQ(r.nr_gfns, 0);
	CHECK_COUNTS(r, SUPERPAGE_PAGES, 0, 0);
	/* Two pages before the superpage, and four of it: those of one superpage's range are a step. */
	r = request(BASE - 2, 6, 0);
	r.limit = 1;
	CHECK_EQ(xc_domain_rehome_memory(xch, domid, &r), 0);
	CHECK_EQ(r.limit, 0);
	CHECK_EQ(r.nr_gfns, 4);
	CHECK_EQ(r.first_gfn, BASE);
	CHECK_COUNTS(r, 0, 0, 0);
	r.limit = 1;
	CHECK_EQ(xc_domain_rehome_memory(xch, domid, &r), 0);
	CHECK_EQ(r.limit, 0);
	CHECK_EQ(r.nr_gfns, 0);
	CHECK_COUNTS(r, 4, 0, 0);
	CHECK_COUNTS(rehome(domid, BASE, SUPERPAGE_PAGES, 0), SUPERPAGE_PAGES - 4, 4, 0);

	start("ranges with nothing in them");
	CHECK_COUNTS(rehome(domid, BASE, 0, 1), 0, 0, 0);
	CHECK_COUNTS(rehome(domid, 0, BASE, 1), 0, 0, 0);
	CHECK_COUNTS(rehome(domid, BASE + SUPERPAGE_PAGES, (1ul << 40) - BASE - SUPERPAGE_PAGES, 1), 0, 0, 0);
	CHECK_COUNTS(rehome(domid, 0, 1ul << 40, 1), SUPERPAGE_PAGES, 0, 0);

	start("a PV domain");
	if (xc_domain_create(xch, &pv_domid, &pv))
		skip("a PV domain", "none can be created");
	else {
		fails(pv_domid, request(BASE, 1, 1), EOPNOTSUPP);
		domain_destroy(pv_domid);
	}

	start("a dying domain");
	page = map_page(domid, BASE + 3);
	CHECK(xc_domain_destroy(xch, domid) == 0, "%s", strerror(errno));
	CHECK_EQ(domain_pages(domid), 1);
	fails(domid, request(BASE, SUPERPAGE_PAGES, 2 % nr_nodes), EINVAL);
	CHECK(xc_domain_set_vnode_pnode(xch, domid, 0, 0) == -1 && errno == EINVAL, "%s", strerror(errno));
	unmap_page(page);
	settle();
	CHECK_EQ(domain_pages(domid), -1);
	fails(domid, request(BASE, SUPERPAGE_PAGES, 0), ESRCH);
}

static void test_vnode(void)
{
	xen_vmemrange_t ranges[2] = {
		{ .start = BASE << XC_PAGE_SHIFT, .end = (BASE + 2 * SUPERPAGE_PAGES) << XC_PAGE_SHIFT, .nid = 0 },
		{ .start = (BASE + 2 * SUPERPAGE_PAGES) << XC_PAGE_SHIFT, .end = (BASE + 4 * SUPERPAGE_PAGES) << XC_PAGE_SHIFT, .nid = 1 },
	};
	unsigned int distances[4] = { 10, 20, 20, 10 }, vcpu_to_vnode[1] = { 0 }, vnode_to_pnode[2] = { 0, 1 };
	unsigned int last = nr_nodes - 1;
	uint32_t domid = domain_create(4 * SUPERPAGE_PAGES);
	xen_pfn_t gfn = BASE;
	long before;

	start("a vnode's pnode");
	CHECK(xc_domain_set_vnode_pnode(xch, domid, 0, 1) == -1 && errno == EOPNOTSUPP, "%s", strerror(errno));
	CHECK_EQ(xc_domain_setvnuma(xch, domid, 2, 2, 1, ranges, distances, vcpu_to_vnode, vnode_to_pnode), 0);
	before = node_free_of(0);
	CHECK_EQ(xc_domain_populate_physmap(xch, domid, 1, SUPERPAGE_ORDER, XENMEMF_exact_node(0) | XENMEMF_vnode, &gfn), 1);
	CHECK_EQ(before - node_free_of(0), SUPERPAGE_PAGES);

	CHECK(xc_domain_set_vnode_pnode(xch, domid, 2, 0) == -1 && errno == EINVAL, "%s", strerror(errno));
	CHECK(xc_domain_set_vnode_pnode(xch, domid, ~0u, 0) == -1 && errno == EINVAL, "%s", strerror(errno));
	CHECK(xc_domain_set_vnode_pnode(xch, domid, 0, nr_nodes) == -1 && errno == EINVAL, "%s", strerror(errno));
	CHECK(xc_domain_set_vnode_pnode(xch, domid, 0, ~0u) == -1 && errno == EINVAL, "%s", strerror(errno));
	CHECK(xc_domain_set_vnode_pnode(xch, 0x7ef0, 0, 0) == -1 && errno == ESRCH, "%s", strerror(errno));

	CHECK_EQ(xc_domain_set_vnode_pnode(xch, domid, 0, last), 0);
	before = node_free_of(last);
	gfn += SUPERPAGE_PAGES;
	CHECK_EQ(xc_domain_populate_physmap(xch, domid, 1, SUPERPAGE_ORDER, XENMEMF_exact_node(0) | XENMEMF_vnode, &gfn), 1);
	CHECK_EQ(before - node_free_of(last), SUPERPAGE_PAGES);
	CHECK_COUNTS(rehome(domid, BASE, 4 * SUPERPAGE_PAGES, last), SUPERPAGE_PAGES, SUPERPAGE_PAGES, 0);
	domain_destroy(domid);
}

#define RACING_PAGES (4 * SUPERPAGE_PAGES)
#define MAPPERS 3

static void test_node_pages(void)
{
	uint32_t domid = domain_create(4 * SUPERPAGE_PAGES);
	uint64_t on[MAX_NODES];
	void *page;

	start("pages by node: superpages, single pages, holes, a page that is mapped elsewhere");
	CHECK_ON(domid, 0, 0, 1, 0);
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 2, 0), 2);
	CHECK_EQ(populate(domid, 77, 0, 1, 1), 1);
	CHECK_EQ(populate(domid, 2 * BASE, SUPERPAGE_ORDER, 1, 1), 1);
	CHECK_ON(domid, 0, 2 * SUPERPAGE_PAGES, 1, SUPERPAGE_PAGES + 1);
	CHECK_EQ(release(domid, BASE + 5, 0, 3), 3);
	page = map_page(domid, BASE + 9);
	CHECK_ON(domid, 0, 2 * SUPERPAGE_PAGES - 3, 1, SUPERPAGE_PAGES + 1);
	CHECK_COUNTS(rehome(domid, BASE, SUPERPAGE_PAGES, 1), SUPERPAGE_PAGES - 4, 0, 1);
	CHECK_ON(domid, 0, SUPERPAGE_PAGES + 1, 1, 2 * SUPERPAGE_PAGES - 3);
	if (page)
		unmap_page(page);

	start("pages by node: an array shorter than the host, and no such domain");
	on[1] = 4711;
	CHECK_EQ(xc_domain_node_pages(xch, domid, 1, on), 0);
	CHECK_EQ(on[0], SUPERPAGE_PAGES + 1);
	CHECK_EQ(on[1], 4711);
	CHECK(xc_domain_node_pages(xch, 0x7ef0, MAX_NODES, on) && errno == ESRCH, "no such domain: %s", strerror(errno));
	domain_destroy(domid);
}

/* XEN_DOMCTL_node_pages as it is: libxenctrl makes no call of this kind. */
static void raw_node_pages(int line, xencall_handle *call, struct xen_domctl *ctl, uint32_t domid, struct xen_domctl_node_pages op, int error)
{
	memset(ctl, 0, sizeof(*ctl));
	ctl->cmd = XEN_DOMCTL_node_pages;
	ctl->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	ctl->domain = domid;
	ctl->u.node_pages = op;
	errno = 0;
	xencall1(call, __HYPERVISOR_domctl, (uintptr_t)ctl);
	check(errno == error, __FILE__, line, "d%u, %#lx gfns from %#lx: %s instead of %s", domid, (long)op.nr_gfns, (long)op.first_gfn,
	      strerror(errno), strerror(error));
}
#define RAW(domid, error, ...) raw_node_pages(__LINE__, call, ctl, domid, (struct xen_domctl_node_pages){ __VA_ARGS__ }, error)

static void test_node_pages_misuse(void)
{
	xencall_handle *call = xencall_open(NULL, 0);
	struct xen_domctl *ctl = call ? xencall_alloc_buffer(call, sizeof(*ctl)) : NULL;
	uint64_t *on = call ? xencall_alloc_buffer(call, MAX_NODES * sizeof(*on)) : NULL;
	uint32_t domid = domain_create(SUPERPAGE_PAGES);
	void *page;

	if (!ctl || !on)
		err(2, "xencall");
	start("pages by node: misuse");
	CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, 1, 0), 1);
	memset(on, 0, MAX_NODES * sizeof(*on));
	RAW(domid, EINVAL, .first_gfn = ~0ul, .nr_gfns = 2, .nr_nodes = MAX_NODES, .pages.p = on);
	RAW(domid, EINVAL, .first_gfn = BASE, .nr_gfns = ~0ul, .nr_nodes = MAX_NODES, .pages.p = on);
	RAW(domid, EINVAL, .first_gfn = 1ul << 40, .nr_gfns = 1, .nr_nodes = MAX_NODES, .pages.p = on);
	RAW(domid, EFAULT, .nr_gfns = BASE, .nr_nodes = 1);
	RAW(domid, EFAULT, .nr_gfns = BASE, .nr_nodes = 1, .pages.p = (void *)(1ul << 63));
	RAW(0, EOPNOTSUPP, .nr_gfns = BASE, .nr_nodes = MAX_NODES, .pages.p = on);
	for (uint32_t special = DOMID_FIRST_RESERVED; special <= DOMID_IDLE; special++)
		RAW(special, ESRCH, .nr_gfns = BASE, .nr_nodes = MAX_NODES, .pages.p = on);
	for (unsigned int node = 0; node < MAX_NODES; node++)
		CHECK_EQ(on[node], 0);

	start("pages by node: no element, more than Xen has nodes, a part of a superpage, counts are added to");
	RAW(domid, 0, .first_gfn = BASE, .nr_gfns = SUPERPAGE_PAGES);
	on[1] = 4711;
	RAW(domid, 0, .first_gfn = BASE + 3, .nr_gfns = 7, .nr_nodes = ~0u, .pages.p = on);
	CHECK_EQ(on[0], 7);
	CHECK_EQ(ctl->u.node_pages.nr_gfns, 0);
	CHECK_EQ(ctl->u.node_pages.first_gfn, BASE + 10);
	RAW(domid, 0, .nr_gfns = 1ul << 40, .nr_nodes = 2, .pages.p = on);
	CHECK_EQ(on[0], 7 + SUPERPAGE_PAGES);
	CHECK_EQ(on[1], 4711);

	start("pages by node: a dying domain");
	page = map_page(domid, BASE);
	CHECK(xc_domain_destroy(xch, domid) == 0, "%s", strerror(errno));
	RAW(domid, EINVAL, .nr_gfns = BASE, .nr_nodes = MAX_NODES, .pages.p = on);
	unmap_page(page);
	settle();
	RAW(domid, ESRCH, .nr_gfns = BASE, .nr_nodes = MAX_NODES, .pages.p = on);
	xencall_free_buffer(call, on);
	xencall_free_buffer(call, ctl);
	xencall_close(call);
}

static uint32_t racing;
static volatile bool stop;

/* Counts in words of its own in pages that move: no count may get lost. */
static void *mapper(void *arg)
{
	const uintptr_t self = (uintptr_t)arg;
	uint64_t *counts = calloc(RACING_PAGES + 1, sizeof(*counts)), lost = 0;
	unsigned int seed = self;

	while (!stop) {
		unsigned long i = rand_r(&seed) % RACING_PAGES;
		volatile uint64_t *page = map_page(racing, BASE + i);

		if (!page) {
			lost++;
			continue;
		}
		lost += page[self] != word(BASE + i, self) + counts[i];
		page[self] = word(BASE + i, self) + ++counts[i];
		unmap_page((void *)page);
		counts[RACING_PAGES]++;
	}
	CHECK_EQ(lost, 0);
	return counts;
}

static void test_race(void)
{
	enum { ROUNDS = 10 };
	pthread_t threads[MAPPERS];
	uint64_t *counts[MAPPERS], mapped = 0, wrong = 0, moved = 0, busy = 0;
	xc_rehome_memory_t last;
	int status;
	pid_t child;

	start("two processes that move the same memory, and others that map and write it");
	racing = domain_create(RACING_PAGES);
	stop = false;
	CHECK_EQ(populate(racing, BASE, SUPERPAGE_ORDER, RACING_PAGES / SUPERPAGE_PAGES, 0), RACING_PAGES / SUPERPAGE_PAGES);
	CHECK_EQ(pattern(racing, BASE, RACING_PAGES, true), 0);
	child = fork();
	if (child < 0)
		err(2, "fork");
	if (!child) {
		harness_open();
		for (unsigned int i = 0; i < ROUNDS; i++) {
			xc_rehome_memory_t r = request(BASE, RACING_PAGES, (i + 1) % nr_nodes);

			if (rehome_all(racing, &r))
				_exit(1);
		}
		_exit(0);
	}
	for (uintptr_t i = 0; i < MAPPERS; i++)
		if (pthread_create(&threads[i], NULL, mapper, (void *)(i + 1)))
			err(2, "pthread_create");
	for (unsigned int i = 0; i < ROUNDS; i++) {
		xc_rehome_memory_t r = rehome(racing, BASE, RACING_PAGES, i % nr_nodes);

		CHECK_EQ(r.moved + r.resident + r.busy, RACING_PAGES);
		moved += r.moved;
		busy += r.busy;
	}
	if (waitpid(child, &status, 0) != child)
		err(2, "waitpid");
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status), "the other process failed");
	stop = true;
	for (unsigned int i = 0; i < MAPPERS; i++) {
		pthread_join(threads[i], (void **)&counts[i]);
		mapped += counts[i][RACING_PAGES];
	}
	for (unsigned long i = 0; i < RACING_PAGES; i++) {
		uint64_t *page = map_page(racing, BASE + i);

		if (!page)
			err(2, "mapping d%u", racing);
		for (unsigned int j = 0; j < WORDS; j++) {
			uint64_t count = j >= 1 && j <= MAPPERS ? counts[j - 1][i] : 0;

			wrong += page[j] != word(BASE + i, j) + count;
		}
		unmap_page(page);
	}
	CHECK_EQ(wrong, 0);
	CHECK(mapped > 0 && moved > 0, "no race");
	printf("  %lu mapped, %lu pages moved, %lu times busy\n", (long)mapped, (long)moved, (long)busy);
	/* Where it is now depends on who was the last. */
	last = rehome(racing, BASE, RACING_PAGES, 1);
	CHECK_EQ(last.moved + last.resident, RACING_PAGES);
	CHECK_COUNTS(rehome(racing, BASE, RACING_PAGES, 0), domain_pages(racing), 0, 0);
	CHECK_ON(racing, 0, RACING_PAGES, 1, 0);
	for (unsigned int i = 0; i < MAPPERS; i++)
		free(counts[i]);
	domain_destroy(racing);
}

enum { DESTROYED = 32 };

static bool move_on(uint32_t domid, unsigned int round)
{
	xc_rehome_memory_t r = request(BASE, DESTROYED * SUPERPAGE_PAGES, round % nr_nodes);

	if (!rehome_all(domid, &r))
		return true;
	if (errno != EINVAL && errno != ESRCH)
		_exit(1);
	return false;
}

static void test_destroy(void)
{
	enum { ROUNDS = 5 };

	start("destroying the domain meanwhile");
	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint32_t domid = domain_create(DESTROYED * SUPERPAGE_PAGES);

		CHECK_EQ(populate(domid, BASE, SUPERPAGE_ORDER, DESTROYED, 0), DESTROYED);
		destroy_during(domid, move_on);
	}
}

int main(void)
{
	long free_pages[MAX_NODES];

	harness_open();
	nr_nodes = node_free(free_pages);
	if (nr_nodes < 2)
		errx(2, "this host has one node only");

	run(test_superpages);
	run(test_broken);
	run(test_pages);
	run(test_gigapage);
	run(test_gigapage_given_up);
	run(test_busy);
	run(test_granted);
	run(test_log_dirty);
	run(test_populate_on_demand);
	run(test_no_memory);
	run(test_misuse);
	run(test_vnode);
	run(test_node_pages);
	run(test_node_pages_misuse);
	run(test_race);
	run(test_destroy);
	return harness_result();
}
