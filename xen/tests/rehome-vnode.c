/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rehome-vnode DOMID VNODE PNODE: in dom0, moves all memory of a running guest's vnode to a pnode, and has it come from there from now on.
 * rehome-vnode DOMID all PNODE: the same with all memory of a guest, which may be one without vnodes.
 * rehome-vnode DOMID home: each vnode's memory that is elsewhere comes to the pnode of the vnode's number.
 * rehome-vnode DOMID VNODE forever: to pnode 1 and to pnode 0 in turns, until that fails.
 * rehome-vnode DOMID round: each vnode goes to each other pnode, and home.
 * rehome-vnode: only the free pages of each pnode, when they stand still.
 *
 * Prints the counts of pages, the time, and the longest single hypercall.
 */
#include "harness.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint32_t domid;
static uint32_t nr_vnodes = 64, nr_ranges = 256, nr_vcpus = 1024;
static xen_vmemrange_t *ranges;
static xc_rehome_memory_t total;
static double took, longest;

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void print_free(void)
{
	long free_pages[MAX_NODES];
	unsigned int nr;

	settle();
	nr = node_free(free_pages);
	printf("free");
	for (unsigned int i = 0; i < nr; i++)
		printf(" %ld", free_pages[i]);
	printf("\n");
}

static void move(xen_pfn_t first, xen_pfn_t nr, unsigned int pnode)
{
	double begin = seconds();

	total.pnode = pnode;
	total.first_gfn = first;
	total.nr_gfns = nr;
	while (total.nr_gfns) {
		double start = seconds(), call;

		total.limit = 256;
		if (xc_domain_rehome_memory(xch, domid, &total))
			err(1, "d%u to pnode %u, %lu pages moved", domid, pnode, (long)total.moved);
		call = seconds() - start;
		if (call > longest)
			longest = call;
	}
	took += seconds() - begin;
}

static void move_vnode(unsigned int vnode, unsigned int pnode)
{
	unsigned int found = 0;

	for (uint32_t i = 0; i < nr_ranges; i++) {
		if (ranges[i].nid != vnode)
			continue;
		move(ranges[i].start >> XC_PAGE_SHIFT, (ranges[i].end - ranges[i].start) >> XC_PAGE_SHIFT, pnode);
		found++;
	}
	if (!found)
		errx(1, "d%u has no vnode %u", domid, vnode);
	if (xc_domain_set_vnode_pnode(xch, domid, vnode, pnode))
		err(1, "pnode of vnode %u of d%u", vnode, domid);
}

static void read_vnuma(void)
{
	unsigned int *distances = calloc((size_t)nr_vnodes * nr_vnodes, sizeof(*distances));
	unsigned int *vcpu_to_vnode = calloc(nr_vcpus, sizeof(*vcpu_to_vnode));

	ranges = calloc(nr_ranges, sizeof(*ranges));
	if (!ranges || !distances || !vcpu_to_vnode ||
	    xc_domain_getvnuma(xch, domid, &nr_vnodes, &nr_ranges, &nr_vcpus, ranges, distances, vcpu_to_vnode))
		err(1, "vNUMA topology of d%u", domid);
	free(distances);
	free(vcpu_to_vnode);
}

static void move_all(unsigned int pnode)
{
	xen_pfn_t last;

	if (xc_domain_maximum_gpfn(xch, domid, &last))
		err(1, "memory of d%u", domid);
	move(0, last + 1, pnode);
}

/* A page that is in use is left where it is: for a moment by dom0, or for good by Xen. */
static void go_home(void)
{
	for (unsigned int vnode = 0; vnode < nr_vnodes; vnode++) {
		for (unsigned int tries = 0; tries < 50; tries++) {
			uint64_t busy = total.busy;

			move_vnode(vnode, vnode);
			if (total.busy == busy)
				break;
			usleep(100000);
		}
	}
}

static void go_round(void)
{
	long free_pages[MAX_NODES];
	unsigned int nr_pnodes = node_free(free_pages);

	for (unsigned int step = 1; step <= nr_pnodes; step++)
		for (unsigned int vnode = 0; vnode < nr_vnodes; vnode++)
			move_vnode(vnode, (vnode + step) % nr_pnodes);
	go_home();
}

static void go_to_and_fro(unsigned int vnode)
{
	for (unsigned int pnode = 1;; pnode = !pnode) {
		move_vnode(vnode, pnode);
		printf("moved\n");
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	harness_open();
	if (argc == 1) {
		print_free();
		return 0;
	}
	domid = strtoul(argv[1], NULL, 10);
	if (argc == 4 && !strcmp(argv[2], "all"))
		move_all(strtoul(argv[3], NULL, 10));
	else if (argc == 4 && !strcmp(argv[3], "forever")) {
		read_vnuma();
		go_to_and_fro(strtoul(argv[2], NULL, 10));
	} else if (argc == 4) {
		read_vnuma();
		move_vnode(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	} else if (argc == 3 && !strcmp(argv[2], "home")) {
		read_vnuma();
		go_home();
	} else if (argc == 3 && !strcmp(argv[2], "round")) {
		read_vnuma();
		go_round();
	} else
		errx(2, "usage: rehome-vnode [DOMID {VNODE {PNODE | forever} | all PNODE | home | round}]");
	printf("moved %lu resident %lu busy %lu unmovable %lu seconds %.3f longest %.3f\n", (long)total.moved, (long)total.resident,
	       (long)total.busy, (long)total.unmovable, took, longest);
	return 0;
}
