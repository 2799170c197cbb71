/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into Debian's C xenstored, stands for the hypervisor that it looks
 * for: enough that it starts and serves its socket on any machine. Event
 * channels never fire, every domain lives, and a guest's ring is a page of nothing.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#define HANDLE(type) ((type *)(uintptr_t)0x1000)
#define UNUSED __attribute__((unused))

static const evtchn_port_t virq_port = 5;
static const evtchn_port_t ring_port = 7;

/* A descriptor that has the same to read as the kernel's file, or -1. */
static int kernel_file(const char *path)
{
	int fd = -1;

	if (!strcmp(path, "/proc/xen/xsd_port")) {
		fd = memfd_create("xsd_port", 0);
		if (fd >= 0 && (write(fd, "7", 1) != 1 || lseek(fd, 0, SEEK_SET) != 0)) {
			close(fd);
			fd = -1;
		}
	} else if (!strcmp(path, "/proc/xen/xsd_kva") || !strcmp(path, "/dev/xen/xenbus")) {
		fd = memfd_create("xsd_kva", 0);
		if (fd >= 0 && ftruncate(fd, 4096)) {
			close(fd);
			fd = -1;
		}
	}
	return fd;
}

static int open_through(const char *symbol, const char *path, int flags, mode_t mode)
{
	int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, symbol);
	int fd = kernel_file(path);

	return fd >= 0 ? fd : next(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return open_through("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return open_through("open64", path, flags, mode);
}

/* It asks for more descriptors than an unprivileged test may have. */
int setrlimit(__rlimit_resource_t resource UNUSED, const struct rlimit *limit UNUSED)
{
	return 0;
}

xc_interface *xc_interface_open(xentoollog_logger *logger UNUSED,
				xentoollog_logger *dombuild UNUSED, unsigned int flags UNUSED)
{
	return HANDLE(xc_interface);
}

int xc_interface_close(xc_interface *xch UNUSED)
{
	return 0;
}

int xc_domain_getinfo(xc_interface *xch UNUSED, uint32_t first, unsigned int max,
		      xc_dominfo_t *info)
{
	if (max == 0)
		return 0;
	memset(info, 0, sizeof(*info));
	info->domid = first;
	info->running = 1;
	return 1;
}

static int event_fd = -1;

xenevtchn_handle *xenevtchn_open(xentoollog_logger *logger UNUSED, unsigned int flags UNUSED)
{
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return event_fd < 0 ? NULL : HANDLE(xenevtchn_handle);
}

int xenevtchn_close(xenevtchn_handle *xce UNUSED)
{
	return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce UNUSED)
{
	return event_fd;
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce UNUSED,
					      unsigned int virq UNUSED)
{
	return virq_port;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce UNUSED,
						     uint32_t domid UNUSED,
						     evtchn_port_t remote UNUSED)
{
	return ring_port;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce UNUSED)
{
	errno = EAGAIN;
	return -1;
}

int xenevtchn_notify(xenevtchn_handle *xce UNUSED, evtchn_port_t port UNUSED)
{
	return 0;
}

int xenevtchn_unbind(xenevtchn_handle *xce UNUSED, evtchn_port_t port UNUSED)
{
	return 0;
}

int xenevtchn_unmask(xenevtchn_handle *xce UNUSED, evtchn_port_t port UNUSED)
{
	return 0;
}

xengnttab_handle *xengnttab_open(xentoollog_logger *logger UNUSED, unsigned int flags UNUSED)
{
	return HANDLE(xengnttab_handle);
}

int xengnttab_close(xengnttab_handle *xgt UNUSED)
{
	return 0;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt UNUSED, uint32_t count UNUSED)
{
	return 0;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt UNUSED, uint32_t domid UNUSED,
			      uint32_t ref UNUSED, int prot UNUSED)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? NULL : page;
}

int xengnttab_unmap(xengnttab_handle *xgt UNUSED, void *start, uint32_t count)
{
	return munmap(start, (size_t)count * 4096);
}
