/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands for libxenctrl where there is no Xen: two nodes of two CPUs, and more
 * domains than one question answers, of which the first has two vnodes. $FAKE_XEN says
 * what is odd about it: a version, or "none" for no hypervisor. With WITH_REHOME it is a
 * library with Virtflex's patches, and $FAKE_ERRNO is the error that a move to node 1 ends with.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenctrl.h>

#define UNUSED __attribute__((unused))

enum { nodes = 2, cpus = 4, domains = 300, gone = 7 };

static const char *oddity(void)
{
	const char *text = getenv("FAKE_XEN");

	return text ? text : "";
}

static int fail(int error)
{
	errno = error;
	return -1;
}

static uint64_t limit_kb = 1 << 20, claimed_pages;
/* Domain 3 dies as soon as something is claimed for it. */
static bool third_dies;
static uint8_t affinity = 0x3;

xc_interface *xc_interface_open(xentoollog_logger *logger UNUSED,
				xentoollog_logger *dombuild UNUSED, unsigned int flags UNUSED)
{
	errno = EACCES;
	return strcmp(oddity(), "none") ? malloc(1) : NULL;
}

int xc_interface_close(xc_interface *xch)
{
	free(xch);
	return 0;
}

int xc_version(xc_interface *xch UNUSED, int what UNUSED, void *argument UNUSED)
{
	return 4 << 16 | (*oddity() ? atoi(oddity()) : 17);
}

int xc_numainfo(xc_interface *xch UNUSED, unsigned int *count, xc_meminfo_t *memory,
		uint32_t *distance)
{
	for (unsigned int i = 0; memory && i < *count && i < nodes; i++) {
		memory[i].memsize = 1ull << 32;
		memory[i].memfree = 1ull << 30;
		for (unsigned int j = 0; j < *count && j < nodes; j++)
			distance[i * *count + j] = i == j ? 10 : 21;
	}
	*count = nodes;
	return 0;
}

int xc_cputopoinfo(xc_interface *xch UNUSED, unsigned int *count, xc_cputopo_t *topology)
{
	for (unsigned int i = 0; topology && i < *count && i < cpus; i++)
		topology[i] = (xc_cputopo_t){ .core = i, .socket = i / 2, .node = i / 2 };
	*count = cpus;
	return 0;
}

int xc_domain_getinfolist(xc_interface *xch UNUSED, uint32_t first, unsigned int max,
			  xc_domaininfo_t *info)
{
	unsigned int got = 0;

	for (; first <= domains && got < max; first++, got++) {
		memset(&info[got], 0, sizeof(info[got]));
		info[got].domain = first;
		info[got].tot_pages = 1000;
		info[got].max_pages = limit_kb / 4;
		info[got].outstanding_pages = claimed_pages;
		info[got].max_vcpu_id = 1;
		info[got].flags = first == 3 && third_dies ? XEN_DOMINF_dying : 0;
	}
	return got;
}

int xc_vcpu_getinfo(xc_interface *xch UNUSED, uint32_t domain UNUSED, uint32_t vcpu,
		    xc_vcpuinfo_t *info)
{
	memset(info, 0, sizeof(*info));
	info->online = vcpu == 0;
	return 0;
}

int xc_vcpu_getaffinity(xc_interface *xch UNUSED, uint32_t domain, int vcpu UNUSED,
			xc_cpumap_t hard, xc_cpumap_t soft, uint32_t flags UNUSED)
{
	if (domain == gone)
		return fail(ESRCH);
	hard[0] = affinity;
	/* More than there are. */
	soft[0] = 0xff;
	return 0;
}

int xc_vcpu_setaffinity(xc_interface *xch UNUSED, uint32_t domain UNUSED, int vcpu UNUSED,
			xc_cpumap_t hard, xc_cpumap_t soft UNUSED, uint32_t flags UNUSED)
{
	if (!hard[0])
		return fail(EINVAL);
	affinity = hard[0];
	return 0;
}

int xc_domain_setmaxmem(xc_interface *xch UNUSED, uint32_t domain UNUSED, uint64_t kb)
{
	limit_kb = kb;
	return 0;
}

int xc_domain_getvnuma(xc_interface *xch UNUSED, uint32_t domain, uint32_t *nr_vnodes,
		       uint32_t *nr_ranges, uint32_t *nr_vcpus, xen_vmemrange_t *range,
		       unsigned int *distance, unsigned int *vnode_of)
{
	/* As Xen may. */
	if (domain == 3 && third_dies)
		abort();
	if (domain != 1)
		return fail(EOPNOTSUPP);
	if (*nr_vnodes < 2 || *nr_ranges < 3 || *nr_vcpus < 2) {
		*nr_vnodes = 2;
		*nr_ranges = 3;
		*nr_vcpus = 2;
		return fail(ENOBUFS);
	}
	for (int i = 0; i < 3; i++)
		range[i] = (xen_vmemrange_t){ .start = i * 4096, .end = (i + 1) * 4096, .nid = i % 2 };
	for (int i = 0; i < 4; i++)
		distance[i] = i % 3 ? 20 : 10;
	vnode_of[0] = 0;
	vnode_of[1] = 1;
	return 0;
}

int xc_domain_claim_pages(xc_interface *xch UNUSED, uint32_t domain, unsigned long pages)
{
	third_dies = third_dies || (domain == 3 && pages);
	if (pages > limit_kb / 4)
		return fail(EINVAL);
	claimed_pages = pages ? pages - 1000 : 0;
	return 0;
}

#ifdef WITH_REHOME
struct rehome {
	uint32_t pnode, limit;
	uint64_t first_gfn, nr_gfns;
	uint64_t moved, resident, busy, unmovable;
};

/* Of domain 1's three pages the last can't be moved away from node 1, where none is at first. */
int xc_domain_rehome_memory(xc_interface *xch UNUSED, uint32_t domain, struct rehome *rehome)
{
	static uint32_t node_of[3];
	const char *text = getenv("FAKE_ERRNO");
	int error = text ? atoi(text) : 0;

	if (domain != 1)
		return fail(ESRCH);
	if (!rehome->limit || rehome->pnode >= nodes || rehome->first_gfn + rehome->nr_gfns > 3)
		return fail(EINVAL);
	for (; rehome->limit && rehome->nr_gfns; rehome->limit--, rehome->first_gfn++, rehome->nr_gfns--) {
		uint32_t *node = &node_of[rehome->first_gfn];

		/* A node that is full after one page, or a domain that can't be moved at all. */
		if (rehome->pnode == 1 && error && (error != ENOMEM || rehome->first_gfn))
			return fail(error);
		if (*node == rehome->pnode)
			rehome->resident++;
		else if (*node == 1 && rehome->first_gfn == 2)
			rehome->busy++;
		else {
			*node = rehome->pnode;
			rehome->moved++;
		}
	}
	return 0;
}

int xc_domain_set_vnode_pnode(xc_interface *xch UNUSED, uint32_t domain, uint32_t vnode,
			      uint32_t pnode)
{
	if (domain != 1)
		return fail(ESRCH);
	if (vnode >= 2 || pnode >= nodes)
		return fail(EINVAL);
	fprintf(stderr, "vnode %u from node %u\n", vnode, pnode);
	return 0;
}

/* Domain 2 is of a kind that Xen does not count. */
int xc_domain_node_pages(xc_interface *xch UNUSED, uint32_t domain, uint32_t count, uint64_t *pages)
{
	if (domain == 2)
		return fail(EOPNOTSUPP);
	for (uint32_t node = 0; node < count; node++)
		pages[node] = node < nodes ? node + 1 : 0;
	return 0;
}
#endif

xc_cpumap_t xc_cpumap_alloc(xc_interface *xch UNUSED)
{
	return calloc(1, 1);
}

int xc_get_max_cpus(xc_interface *xch UNUSED)
{
	return cpus;
}
