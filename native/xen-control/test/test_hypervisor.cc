/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of libxenctrl, on fake_xenctrl.c. */
#include "../src/libxenctrl.h"

#include <cstring>
#include <thread>

#include "check.h"

template <typename F> static std::string code_of(F call)
{
	try {
		call();
	} catch (const XenFailure &failure) {
		return failure.code;
	}
	return "";
}

static void describes()
{
	XenHost host = xen_host();

	CHECK(host.nodes.size() == 2 && host.nodes[1].free_bytes == 1ull << 30);
	CHECK((host.distances == std::vector<uint32_t>{ 10, 21, 21, 10 }));
	CHECK(host.cpus.size() == 4 && host.cpus[3].node == 1);

	std::vector<XenDomain> all = xen_domains();

	/* One has died while it was asked about. */
	CHECK(all.size() == 299);
	CHECK(all[0].vnodes.size() == 2 && all[0].vnodes[0].size_bytes == 8192);
	CHECK((all[0].vnodes[1].vcpus == std::vector<uint32_t>{ 1 }));
	CHECK(all[0].vcpus[0].online && !all[0].vcpus[1].online);
	CHECK((all[0].vcpus[0].soft_affinity == std::vector<uint32_t>{ 0, 1, 2, 3 }));
	CHECK(all[1].vnodes.empty());
	CHECK(xen_domain(300).size() == 1 && xen_domain(301).empty());
}

static void orders()
{
	xen_pin(1, 0, { 2, 3, 400 });
	CHECK((xen_domain(1)[0].vcpus[0].affinity == std::vector<uint32_t>{ 2, 3 }));
	CHECK(code_of([] { xen_pin(1, 0, {}); }) == "EINVAL");
	xen_set_limit(1, 8192 * 4096ull);
	CHECK(xen_domain(1)[0].limit_bytes == 8192 * 4096ull);
	/* A claim above the limit leaves the limit as it was. */
	xen_claim(1, 9000 * 4096ull);
	CHECK(xen_domain(1)[0].claimed_bytes == 9000 * 4096ull);
	CHECK(xen_domain(1)[0].limit_bytes == 8192 * 4096ull);
	xen_claim(1, 0);
	CHECK(xen_domain(1)[0].claimed_bytes == 0);
	CHECK(code_of([] { xen_claim(500, 4096); }) == "ESRCH");
	/* Nothing is claimed for a domain that dies meanwhile, or dies already. */
	CHECK(code_of([] { xen_claim(3, 4096); }) == "ESRCH");
	CHECK(xen_domain(3)[0].claimed_bytes == 0 && xen_domain(3)[0].dying);
	CHECK(code_of([] { xen_claim(3, 4096); }) == "ESRCH");
}

/* The library here is like Debian's: it knows of no way to move memory. */
static void unsupported()
{
	CHECK(code_of([] { xen_move(1, 0, 1, 0, 1); }) == "EOPNOTSUPP");
	CHECK(code_of([] { xen_set_vnode_node(1, 0, 1); }) == "EOPNOTSUPP");
	CHECK(xen_resident_bytes(1).empty());
}

/* Vnode 0 has pages 0 and 2, of which the latter stays once it is on node 1; vnode 1 has page 1. */
static void moves()
{
	CHECK(xen_resident_bytes(1)[0] == 4096 && xen_resident_bytes(1)[1] == 8192);
	CHECK(xen_resident_bytes(2).empty());

	XenMove first = xen_move(1, 0, 1, 0, 1);
	CHECK(first.next == 1 && first.moved_pages == 1 && first.skipped_pages == 0);
	XenMove second = xen_move(1, 0, 1, first.next, 1);
	CHECK(second.next == 3 && second.moved_pages == 1);
	XenMove end = xen_move(1, 0, 1, second.next, 1);
	CHECK(end.next == UINT64_MAX && end.moved_pages == 0);
	/* What is there already doesn't count. */
	CHECK(xen_move(1, 0, 1, 0, 8).moved_pages == 0);
	CHECK(xen_move(1, 0, 0, 0, 8).moved_pages == 1);
	XenMove busy = xen_move(1, 0, 0, 1, 8);
	CHECK(busy.moved_pages == 0 && busy.skipped_pages == 1);
	CHECK(xen_move(1, 1, 1, 0, 8).next == 2);
	CHECK(xen_move(1, 7, 1, 0, 8).next == UINT64_MAX);
	CHECK(xen_move(2, 0, 1, 0, 8).next == UINT64_MAX);
	CHECK(code_of([] { xen_move(1, 0, 9, 0, 8); }) == "EINVAL");
	CHECK(code_of([] { xen_move(1, 0, 1, 0, 0); }) == "EINVAL");
	xen_set_vnode_node(1, 0, 1);
	CHECK(code_of([] { xen_set_vnode_node(1, 2, 1); }) == "EINVAL");
	CHECK(code_of([] { xen_set_vnode_node(2, 0, 1); }) == "ESRCH");
}

static void many_threads()
{
	std::vector<std::thread> threads;

	for (int i = 0; i < 4; i++)
		threads.emplace_back([] {
			for (int j = 0; j < 50; j++) {
				xen_host();
				xen_pin(1, 0, { 1 });
				xen_close();
			}
		});
	for (std::thread &each : threads)
		each.join();
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "moves")) {
		moves();
		return 0;
	}
	if (argc > 1) {
		/* A Xen that cannot be used, each time that it is asked. */
		CHECK(code_of([] { xen_host(); }) == argv[1]);
		CHECK(code_of([] { xen_domains(); }) == argv[1]);
		return 0;
	}
	describes();
	orders();
	unsupported();
	many_threads();
	return 0;
}
