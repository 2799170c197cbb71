/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * XENMEM_get_vnumainfo: a domain that dies has no topology any more, however long it takes. A Xen that gets this wrong may crash.
 */
#include "harness.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define VNODES 4
#define VNODE_PAGES 256ul

static uint32_t create(void)
{
	uint32_t domid = domain_create(VNODES * VNODE_PAGES);
	xen_vmemrange_t ranges[VNODES];
	unsigned int distances[VNODES * VNODES], vnode_of_vcpu[1] = { 0 }, pnodes[VNODES] = { 0 };

	for (unsigned int i = 0; i < VNODES; i++)
		ranges[i] = (xen_vmemrange_t){
			.start = i * VNODE_PAGES << XC_PAGE_SHIFT,
			.end = (i + 1) * VNODE_PAGES << XC_PAGE_SHIFT,
			.nid = i,
		};
	for (unsigned int i = 0; i < VNODES * VNODES; i++)
		distances[i] = i % (VNODES + 1) ? 20 : 10;
	CHECK(xc_domain_setvnuma(xch, domid, VNODES, VNODES, 1, ranges, distances, vnode_of_vcpu, pnodes) == 0, "%s",
	      strerror(errno));
	return domid;
}

/* 0, or the error number; what is answered has to be what create() has set. */
static int ask(uint32_t domid)
{
	uint32_t vnodes = VNODES, ranges = VNODES, vcpus = 1;
	xen_vmemrange_t range[VNODES] = { 0 };
	unsigned int distance[VNODES * VNODES] = { 0 }, vnode_of_vcpu[1] = { VNODES };

	if (xc_domain_getvnuma(xch, domid, &vnodes, &ranges, &vcpus, range, distance, vnode_of_vcpu))
		return errno;
	return vnodes == VNODES && ranges == VNODES && vcpus == 1 && range[VNODES - 1].nid == VNODES - 1 &&
			       distance[1] == 20 && vnode_of_vcpu[0] == 0
		       ? 0
		       : ERANGE;
}

static void test_kept(void)
{
	uint32_t domid = create();
	void *page;

	start("a dead domain that is kept by a map of its memory");
	CHECK_EQ(populate(domid, 0, 0, 1, -1), 1);
	page = map_page(domid, 0);
	CHECK(page, "%s", strerror(errno));
	CHECK_EQ(ask(domid), 0);
	domain_destroy(domid);
	CHECK_EQ(ask(domid), EOPNOTSUPP);
	unmap_page(page);
	settle();
	CHECK_EQ(ask(domid), ESRCH);
}

static bool ask_on(uint32_t domid, unsigned int round)
{
	int error = ask(domid);

	(void)round;
	if (error && error != EAGAIN && error != EOPNOTSUPP && error != ESRCH)
		_exit(1);
	return error != ESRCH;
}

static void test_destroy(void)
{
	enum { ROUNDS = 20 };

	start("destroying the domain meanwhile");
	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint32_t domid = create();

		CHECK_EQ(populate(domid, 0, 0, VNODES * VNODE_PAGES, -1), VNODES * VNODE_PAGES);
		destroy_during(domid, ask_on);
	}
}

int main(void)
{
	harness_open();
	run(test_kept);
	run(test_destroy);
	return harness_result();
}
