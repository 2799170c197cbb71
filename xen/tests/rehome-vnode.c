/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rehome-vnode DOMID VNODE PNODE: in dom0, moves all memory of a running guest's vnode to a pnode, and has it come from there from now on.
 * rehome-vnode: only the free pages of each pnode.
 *
 * Prints the counts of pages, the time, the longest single hypercall, and the free pages of each pnode before and after, when they stand still.
 */
#include "harness.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void print_free(const char *when)
{
	long free_pages[MAX_NODES];
	unsigned int nr;

	settle();
	nr = node_free(free_pages);
	printf("%s", when);
	for (unsigned int i = 0; i < nr; i++)
		printf(" %ld", free_pages[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	unsigned int domid, vnode, pnode, moved = 0;
	uint32_t nr_vnodes = 64, nr_ranges = 256, nr_vcpus = 1024;
	xen_vmemrange_t *ranges = calloc(nr_ranges, sizeof(*ranges));
	unsigned int *distances = calloc((size_t)nr_vnodes * nr_vnodes, sizeof(*distances));
	unsigned int *vcpu_to_vnode = calloc(nr_vcpus, sizeof(*vcpu_to_vnode));
	xc_rehome_memory_t r = { 0 };
	double begin, took, longest = 0;

	harness_open();
	if (argc == 1) {
		print_free("free");
		return 0;
	}
	if (argc != 4)
		errx(2, "usage: rehome-vnode [DOMID VNODE PNODE]");
	domid = strtoul(argv[1], NULL, 10);
	vnode = strtoul(argv[2], NULL, 10);
	pnode = strtoul(argv[3], NULL, 10);
	if (!ranges || !distances || !vcpu_to_vnode ||
	    xc_domain_getvnuma(xch, domid, &nr_vnodes, &nr_ranges, &nr_vcpus, ranges, distances, vcpu_to_vnode))
		err(1, "vNUMA topology of d%u", domid);
	print_free("before");
	begin = seconds();
	for (uint32_t i = 0; i < nr_ranges; i++) {
		if (ranges[i].nid != vnode)
			continue;
		r.pnode = pnode;
		r.first_gfn = ranges[i].start >> XC_PAGE_SHIFT;
		r.nr_gfns = (ranges[i].end >> XC_PAGE_SHIFT) - r.first_gfn;
		while (r.nr_gfns) {
			double start = seconds();

			r.limit = 256;
			if (xc_domain_rehome_memory(xch, domid, &r))
				err(1, "d%u vnode %u to pnode %u, %lu pages moved", domid, vnode, pnode, (long)r.moved);
			took = seconds() - start;
			if (took > longest)
				longest = took;
		}
		moved++;
	}
	if (!moved)
		errx(1, "d%u has no vnode %u", domid, vnode);
	took = seconds() - begin;
	if (xc_domain_set_vnode_pnode(xch, domid, vnode, pnode))
		err(1, "pnode of vnode %u of d%u", vnode, domid);
	print_free("after");
	printf("moved %lu resident %lu busy %lu unmovable %lu seconds %.3f longest %.3f\n", (long)r.moved, (long)r.resident, (long)r.busy,
	       (long)r.unmovable, took, longest);
	return 0;
}
