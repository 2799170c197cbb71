/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * guest-misuse DOMID...: in a guest whose kernel lets it make hypercalls (options xen-privcmd unrestricted=1): that Xen refuses it what only
 * dom0 may do, for itself and for the domains named. The hypercalls are made as they are, for there are no libraries of Xen in a guest.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define __XEN_TOOLS__
#include <xen/xen.h>
#include <xen/version.h>
#include <xen/domctl.h>
#include <xen-sys/Linux/privcmd.h>

static int privcmd;

static long hypercall(uint64_t op, uint64_t a, uint64_t b)
{
	privcmd_hypercall_t call = { .op = op, .arg = { a, b } };
	int rc = ioctl(privcmd, IOCTL_PRIVCMD_HYPERCALL, &call);

	return rc < 0 ? -errno : rc;
}

int main(int argc, char **argv)
{
	struct xen_domctl *ctl = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
	static struct xen_domctl before;
	unsigned int passed = 0, failed = 0;

	privcmd = open("/dev/xen/privcmd", O_RDWR);
	if (privcmd < 0 || ctl == MAP_FAILED)
		err(2, "/dev/xen/privcmd");
	/* What is refused below is not refused for there being no way to Xen. */
	if (hypercall(__HYPERVISOR_xen_version, XENVER_version, 0) >> 16 != 4)
		errx(2, "no hypercall can be made");
	for (int i = 0; i < argc; i++) {
		uint16_t domid = i ? strtoul(argv[i], NULL, 10) : DOMID_SELF;
		/* A domctl knows no DOMID_SELF, and says so before it looks at who asks. */
		long refusal = i ? -EPERM : -ESRCH;

		for (int op = 0; op < 3; op++) {
			static const char *const names[] = { "rehome_memory", "set_vnode_pnode", "node_pages" };
			long rc;

			memset(ctl, 0, sizeof(*ctl));
			ctl->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
			ctl->domain = domid;
			switch (op) {
			case 0:
				ctl->cmd = XEN_DOMCTL_rehome_memory;
				ctl->u.rehome_memory.pnode = 1;
				ctl->u.rehome_memory.limit = 1;
				ctl->u.rehome_memory.nr_gfns = 512;
				break;
			case 1:
				ctl->cmd = XEN_DOMCTL_set_vnode_pnode;
				ctl->u.vnode_pnode.pnode = 1;
				break;
			case 2:
				ctl->cmd = XEN_DOMCTL_node_pages;
				ctl->u.node_pages.nr_gfns = 512;
				break;
			}
			before = *ctl;
			rc = hypercall(__HYPERVISOR_domctl, (uintptr_t)ctl, 0);
			if (rc == refusal && !memcmp(&before, ctl, sizeof(before)))
				passed++;
			else {
				failed++;
				printf("FAIL d%u %s: %ld instead of %ld\n", domid, names[op], rc, refusal);
			}
		}
	}
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed || !passed;
}
