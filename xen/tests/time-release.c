/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * time-release DOMID EXTENTS: in dom0, how long it takes to release 2 MiB extents of a running guest, in ns an extent: whole superpages, broken
 * ones, and page by page, which is what Xen without the patches does with either.
 *
 * The extents are put far above the guest's own memory, so that it doesn't know of them; its vCPUs and their TLBs are what matters.
 */
#include "harness.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BASE (1ul << 24) /* 64 GiB */

static uint32_t domid;

static long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000l + t.tv_nsec;
}

static void fill(bool broken)
{
	if (populate(domid, BASE, SUPERPAGE_ORDER, 1, -1) != 1)
		err(1, "populating d%u", domid);
	if (broken && (release(domid, BASE + 5, 0, 1) != 1 || populate(domid, BASE + 5, 0, 1, -1) != 1))
		err(1, "breaking a superpage of d%u", domid);
}

static long time_release(bool broken, unsigned int order)
{
	const unsigned int nr = 1u << (SUPERPAGE_ORDER - order);
	long start;

	fill(broken);
	start = now_ns();
	if (release(domid, BASE, order, nr) != (int)nr)
		err(1, "releasing memory of d%u", domid);
	return now_ns() - start;
}

int main(int argc, char **argv)
{
	unsigned int extents = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	long whole = 0, broken = 0, pages = 0;
	xc_dominfo_t info;

	if (!extents)
		errx(2, "usage: time-release DOMID EXTENTS");
	domid = strtoul(argv[1], NULL, 10);
	harness_open();
	if (xc_domain_getinfo(xch, domid, 1, &info) != 1 || info.domid != domid)
		errx(1, "no domain %u", domid);
	if (xc_domain_setmaxmem(xch, domid, info.max_memkb + 8192))
		err(1, "limit of d%u", domid);
	for (unsigned int i = 0; i < extents; i++) {
		whole += time_release(false, SUPERPAGE_ORDER);
		broken += time_release(true, SUPERPAGE_ORDER);
		pages += time_release(false, 0);
	}
	if (xc_domain_setmaxmem(xch, domid, info.max_memkb))
		err(1, "limit of d%u", domid);
	printf("whole %ld broken %ld pages %ld\n", whole / extents, broken / extents, pages / extents);
	return 0;
}
