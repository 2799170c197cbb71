/* SPDX-License-Identifier: GPL-2.0-only */
#include "harness.h"

#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

xc_interface *xch;
xenforeignmemory_handle *fh;

static unsigned int passed, failed, skipped;

void harness_open(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	xch = xc_interface_open(NULL, NULL, 0);
	fh = xenforeignmemory_open(NULL, 0);
	if (!xch || !fh)
		err(2, "no Xen to test");
}

int harness_result(void)
{
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return passed && !failed ? 0 : 1;
}

void start(const char *test)
{
	printf("# %s\n", test);
}

void check(bool ok, const char *file, int line, const char *fmt, ...)
{
	va_list args;

	if (ok) {
		passed++;
		return;
	}
	failed++;
	printf("FAIL %s:%d: ", file, line);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

void skip(const char *test, const char *why)
{
	skipped++;
	printf("SKIP %s: %s\n", test, why);
}

uint32_t domain_create(unsigned long max_pages)
{
	struct xen_domctl_createdomain create = {
		.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
		.max_vcpus = 1,
		.max_grant_frames = 4,
		.max_maptrack_frames = 1,
		.max_evtchn_port = 1023,
		.grant_opts = XEN_DOMCTL_GRANT_version(1),
		.arch = { .emulation_flags = XEN_X86_EMU_LAPIC },
	};
	uint32_t domid = 0;

	if (xc_domain_create(xch, &domid, &create))
		err(2, "xc_domain_create");
	if (xc_domain_setmaxmem(xch, domid, (uint64_t)max_pages * 4) ||
	    xc_domain_max_vcpus(xch, domid, 1) ||
	    xc_set_paging_mempool_size(xch, domid, 8 << 20))
		err(2, "setting up d%u", domid);
	return domid;
}

void settle(void)
{
	long now[MAX_NODES] = { 0 }, last[MAX_NODES] = { 0 };

	for (unsigned int same = 0; same < 8; same++) {
		usleep(150000);
		node_free(now);
		if (memcmp(last, now, sizeof(last)))
			same = 0;
		memcpy(last, now, sizeof(last));
	}
}

void domain_destroy(uint32_t domid)
{
	CHECK(xc_domain_destroy(xch, domid) == 0, "d%u: %s", domid, strerror(errno));
	settle();
}

long domain_pages(uint32_t domid)
{
	xc_dominfo_t info;

	if (xc_domain_getinfo(xch, domid, 1, &info) != 1 || info.domid != domid)
		return -1;
	return info.nr_pages;
}

static xen_pfn_t *extents(xen_pfn_t gfn, unsigned int order, unsigned int nr)
{
	xen_pfn_t *list = calloc(nr, sizeof(*list));

	if (!list)
		err(2, "extents");
	for (unsigned int i = 0; i < nr; i++)
		list[i] = gfn + ((xen_pfn_t)i << order);
	return list;
}

int populate(uint32_t domid, xen_pfn_t gfn, unsigned int order, unsigned int nr, int node)
{
	xen_pfn_t *list = extents(gfn, order, nr);
	unsigned int flags = node < 0 ? 0 : XENMEMF_exact_node(node);
	int done = xc_domain_populate_physmap(xch, domid, nr, order, flags, list);

	free(list);
	return done;
}

int release(uint32_t domid, xen_pfn_t gfn, unsigned int order, unsigned int nr)
{
	xen_pfn_t *list = extents(gfn, order, nr);
	int done = xc_domain_decrease_reservation(xch, domid, nr, order, list);

	free(list);
	return done;
}

unsigned int node_free(long free_pages[MAX_NODES])
{
	xc_meminfo_t info[MAX_NODES];
	unsigned int nr = MAX_NODES;

	if (xc_numainfo(xch, &nr, info, NULL))
		err(2, "xc_numainfo");
	for (unsigned int i = 0; i < nr; i++)
		free_pages[i] = info[i].memfree >> XC_PAGE_SHIFT;
	return nr;
}

long node_free_of(unsigned int node)
{
	long free_pages[MAX_NODES];

	return node < node_free(free_pages) ? free_pages[node] : -1;
}

static long all_free(void)
{
	long free_pages[MAX_NODES], sum = 0;
	unsigned int nr = node_free(free_pages);

	for (unsigned int i = 0; i < nr; i++)
		sum += free_pages[i];
	return sum;
}

void run(void (*test)(void))
{
	long lost = 0;

	settle();
	for (unsigned int times = 0; times < 3; times++) {
		long before = all_free();

		test();
		settle();
		lost = before - all_free();
		if (!lost)
			break;
		printf("  %ld pages fewer are free\n", lost);
	}
	CHECK_EQ(lost, 0);
}

void destroy_during(uint32_t domid, bool (*work)(uint32_t domid, unsigned int round))
{
	int status, went_round[2];
	pid_t child;
	char c;

	if (pipe(went_round))
		err(2, "pipe");
	child = fork();
	if (child < 0)
		err(2, "fork");
	if (!child) {
		harness_open();
		for (unsigned int round = 1; work(domid, round); round++)
			if (round == 1 && write(went_round[1], "", 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(went_round[1]);
	CHECK(read(went_round[0], &c, 1) == 1, "the other process never did a round");
	close(went_round[0]);
	domain_destroy(domid);
	if (waitpid(child, &status, 0) != child)
		err(2, "waitpid");
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status), "the other process failed");
	CHECK_EQ(domain_pages(domid), -1);
}

void *map_page(uint32_t domid, xen_pfn_t gfn)
{
	int bad = 0;
	void *page = xenforeignmemory_map(fh, domid, PROT_READ | PROT_WRITE, 1, &gfn, &bad);

	if (page && bad) {
		xenforeignmemory_unmap(fh, page, 1);
		return NULL;
	}
	return page;
}

void unmap_page(void *page)
{
	if (xenforeignmemory_unmap(fh, page, 1))
		err(2, "unmap");
}

long counter(const char *name)
{
	DECLARE_HYPERCALL_BUFFER(xc_perfc_desc_t, desc);
	DECLARE_HYPERCALL_BUFFER(xc_perfc_val_t, vals);
	int nr_desc, nr_vals;
	long sum = -1;

	if (xc_perfc_query_number(xch, &nr_desc, &nr_vals))
		return -1;
	desc = xc_hypercall_buffer_alloc(xch, desc, sizeof(*desc) * nr_desc);
	vals = xc_hypercall_buffer_alloc(xch, vals, sizeof(*vals) * nr_vals);
	if (desc && vals && !xc_perfc_query(xch, HYPERCALL_BUFFER(desc), HYPERCALL_BUFFER(vals))) {
		const xc_perfc_val_t *val = vals;

		for (int i = 0; i < nr_desc; val += desc[i++].nr_vals) {
			if (strcmp(desc[i].name, name))
				continue;
			sum = 0;
			for (unsigned int j = 0; j < desc[i].nr_vals; j++)
				sum += val[j];
		}
	}
	xc_hypercall_buffer_free(xch, desc);
	xc_hypercall_buffer_free(xch, vals);
	return sum;
}

void counters_reset(void)
{
	xc_perfc_reset(xch);
}
