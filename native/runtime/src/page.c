/* SPDX-License-Identifier: Apache-2.0 */
#include "virtflex/page.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define COPY_TRIES 64

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the page is little endian");
_Static_assert(sizeof(struct virtflex_topology_page) % sizeof(uint64_t) == 0,
	       "the page is copied by 64-bit words");
_Static_assert(sizeof(struct virtflex_topology_page) <= VIRTFLEX_PAGE_SIZE,
	       "the page fits its mapping");
_Static_assert(offsetof(struct virtflex_topology_page, generation) == 64,
	       "the polled word has a cache line of its own");

static int check_file(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return -EINVAL;
	if (st->st_size < (off_t)VIRTFLEX_PAGE_SIZE)
		return -EINVAL;
	if ((st->st_mode & S_IWOTH) || (st->st_uid != 0 && st->st_uid != geteuid()))
		return -EPERM;
	return 0;
}

int vfrt_map(struct vfrt_mapping *mapping, const char *path)
{
	struct virtflex_topology_page *page;
	struct stat st;
	struct statfs fs;
	int rc, fd;

	*mapping = VFRT_UNMAPPED;

	/* Writing is how the kernel module is answered; a file is only read.
	 * O_NONBLOCK: a path that names a FIFO must not hang the program. */
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM))
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0) {
		rc = -errno;
		goto out;
	}
	mapping->publisher = fs.f_type == PROC_SUPER_MAGIC ? VFRT_PUBLISHER_KERNEL
							    : VFRT_PUBLISHER_FILE;
	rc = mapping->publisher == VFRT_PUBLISHER_FILE ? check_file(&st) : 0;
	if (rc < 0)
		goto out;

	page = mmap(NULL, VIRTFLEX_PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		rc = -errno;
		goto out;
	}
	if (page->magic != VIRTFLEX_PAGE_MAGIC || page->abi != VIRTFLEX_PAGE_ABI ||
	    page->page_size != VIRTFLEX_PAGE_SIZE) {
		munmap(page, VIRTFLEX_PAGE_SIZE);
		rc = -EINVAL;
		goto out;
	}
	mapping->page = page;
	mapping->file = (struct vfrt_file){ fd, st.st_dev, st.st_ino };
	return 0;

out:
	close(fd);
	return rc;
}

void vfrt_unmap(struct vfrt_mapping *mapping)
{
	if (!mapping->page)
		return;
	munmap((void *)(uintptr_t)mapping->page, VIRTFLEX_PAGE_SIZE);
	vfrt_file_close(&mapping->file);
	*mapping = VFRT_UNMAPPED;
}

void vfrt_detach(struct vfrt_mapping *mapping)
{
	if (!mapping->page)
		return;
	mmap((void *)(uintptr_t)mapping->page, VIRTFLEX_PAGE_SIZE, PROT_READ,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	vfrt_file_close(&mapping->file);
	*mapping = VFRT_UNMAPPED;
}

static bool valid(const struct virtflex_topology_page *page)
{
	if (page->magic != VIRTFLEX_PAGE_MAGIC || page->abi != VIRTFLEX_PAGE_ABI ||
	    page->page_size != VIRTFLEX_PAGE_SIZE)
		return false;
	if (page->node_count == 0 || page->node_count > VIRTFLEX_MAX_NODES ||
	    page->cpu_count == 0 || page->cpu_count > VIRTFLEX_MAX_CPUS)
		return false;
	for (unsigned cpu = 0; cpu < page->cpu_count; cpu++)
		if (page->cpu_node[cpu] != VIRTFLEX_CPU_OFFLINE &&
		    page->cpu_node[cpu] >= page->node_count)
			return false;
	return true;
}

/* Word by word with atomic loads: the publisher may be writing, and a torn copy
 * is recognised by the sequence, but a data race would be undefined. */
static void copy_words(struct virtflex_topology_page *to,
		       const struct virtflex_topology_page *from)
{
	const uint64_t *source = (const void *)from;

	for (size_t i = 0; i < sizeof *to / sizeof *source; i++) {
		uint64_t word = __atomic_load_n(&source[i], __ATOMIC_RELAXED);

		memcpy((char *)to + i * sizeof word, &word, sizeof word);
	}
}

int vfrt_copy(struct virtflex_topology_page *copy, const struct virtflex_topology_page *page)
{
	for (int i = 0; i < COPY_TRIES; i++) {
		uint32_t sequence = __atomic_load_n(&page->sequence, __ATOMIC_ACQUIRE);

		if (sequence & 1)
			continue;
		copy_words(copy, page);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&page->sequence, __ATOMIC_RELAXED) == sequence)
			return valid(copy) ? 0 : -EINVAL;
	}
	return -EAGAIN;
}
