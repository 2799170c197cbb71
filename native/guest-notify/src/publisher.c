/* SPDX-License-Identifier: Apache-2.0 */
#include "publisher.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Static_assert(VIRTFLEX_CONTENT_OFFSET == offsetof(struct virtflex_topology_page, node_count),
	       "content follows the generation's cache line");
_Static_assert(VIRTFLEX_CONTENT_SIZE % sizeof(uint64_t) == 0,
	       "content is stored by 64-bit words");

static const struct virtflex_topology_page unpublished = {
	.magic = VIRTFLEX_PAGE_MAGIC,
	.abi = VIRTFLEX_PAGE_ABI,
	.page_size = VIRTFLEX_PAGE_SIZE,
};

static int join(char *to, const char *path, const char *suffix)
{
	int length = snprintf(to, PATH_MAX, "%s%s", path, suffix);

	return length < 0 || length >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int write_all(int fd, const void *bytes, size_t size)
{
	ssize_t written = pwrite(fd, bytes, size, 0);

	if (written < 0)
		return -errno;
	return (size_t)written == size ? 0 : -ENOSPC;
}

/* An open file description's lock: it dies with us, and closing another
 * descriptor of the file doesn't release it. */
static int lock(int fd)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &all) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

/* Makes a complete page under another name and links it to path, if that is
 * still free.  The name is always the same, so that what a killed process left
 * of it is used up by the next. */
static int create(const char *path)
{
	char new_path[PATH_MAX];
	int fd, rc;

	rc = join(new_path, path, ".new");
	if (rc < 0)
		return rc;
	fd = open(new_path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	rc = lock(fd);
	if (rc < 0)
		goto out;
	/* Not 0666 less the umask: who can write to a page rules its readers. */
	if (fchmod(fd, 0644) < 0 || ftruncate(fd, 0) < 0 || ftruncate(fd, VIRTFLEX_PAGE_SIZE) < 0) {
		rc = -errno;
		goto out;
	}
	rc = write_all(fd, &unpublished, sizeof unpublished);
	if (rc < 0)
		goto out;
	/* Either error: another process was faster, and its page is as good. */
	if (link(new_path, path) < 0 && errno != EEXIST && errno != ENOENT)
		rc = -errno;
	unlink(new_path);
out:
	close(fd);
	return rc;
}

static int check_file(int fd)
{
	struct virtflex_topology_page page;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size != (off_t)VIRTFLEX_PAGE_SIZE ||
	    pread(fd, &page, sizeof page, 0) != (ssize_t)sizeof page ||
	    page.magic != VIRTFLEX_PAGE_MAGIC || page.abi != VIRTFLEX_PAGE_ABI ||
	    page.page_size != VIRTFLEX_PAGE_SIZE)
		return -EEXIST;
	if ((st.st_mode & (S_IWOTH | S_IWGRP)) || st.st_uid != geteuid())
		return -EPERM;
	return 0;
}

/* Root publishes for every user's programs, as in /tmp; anybody else for his own. */
static int open_directory(const char *path)
{
	mode_t mode = geteuid() == 0 ? 01777 : 0700;
	char name[PATH_MAX];
	struct stat st;
	int rc, fd;

	rc = join(name, path, ".d");
	if (rc < 0)
		return rc;
	if (mkdir(name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (st.st_uid != geteuid())
		rc = -EPERM;
	else if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		rc = -errno;
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static const char announcement[] = "generation";

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int announce(int directory, uint64_t generation, uint64_t published_ns)
{
	static const char new_name[] = "generation.new";
	char text[48];
	int length = snprintf(text, sizeof text, "%" PRIu64 "\n%" PRIu64 "\n", generation,
			      published_ns);
	int fd, rc;

	/* Anew, as in a directory that others write to it may be another's. */
	if (unlinkat(directory, new_name, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(directory, new_name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, text, (size_t)length);
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && renameat(directory, new_name, directory, announcement) < 0)
		rc = -errno;
	return rc;
}

static uint64_t announced_generation(int directory)
{
	char text[48] = "";
	int fd = openat(directory, announcement, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return 0;
	if (pread(fd, text, sizeof text - 1, 0) < 0)
		text[0] = '\0';
	close(fd);
	return strtoull(text, NULL, 10);
}

int virtflex_publisher_open(struct virtflex_publisher *publisher, const char *path)
{
	int rc;

	*publisher = (struct virtflex_publisher){ .fd = -1, .directory = -1 };

	/* The directory first: who finds the page finds where to register. */
	publisher->directory = open_directory(path);
	if (publisher->directory < 0)
		return publisher->directory;

	publisher->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (publisher->fd < 0 && errno == ENOENT) {
		rc = create(path);
		if (rc < 0)
			goto out;
		publisher->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	}
	if (publisher->fd < 0) {
		rc = errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EEXIST : -errno;
		goto out;
	}
	rc = check_file(publisher->fd);
	if (rc == 0)
		rc = lock(publisher->fd);
	if (rc < 0)
		goto out;

	publisher->page = mmap(NULL, VIRTFLEX_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			       publisher->fd, 0);
	if (publisher->page == MAP_FAILED) {
		publisher->page = NULL;
		rc = -errno;
		goto out;
	}
	publisher->torn = publisher->page->sequence & 1;
	/* The predecessor may have died between the page and the announcement. */
	if (announced_generation(publisher->directory) != publisher->page->generation)
		rc = announce(publisher->directory, publisher->page->generation, monotonic_ns());
out:
	if (rc < 0)
		virtflex_publisher_close(publisher);
	return rc;
}

int virtflex_publisher_publish(struct virtflex_publisher *publisher, const void *content,
			       uint64_t generation)
{
	struct virtflex_topology_page *page = publisher->page;
	uint64_t *to = (void *)((char *)page + VIRTFLEX_CONTENT_OFFSET);
	uint64_t before = __atomic_load_n(&page->generation, __ATOMIC_RELAXED);
	uint32_t odd = __atomic_load_n(&page->sequence, __ATOMIC_RELAXED) | 1;

	if (generation < before)
		return -EINVAL;

	__atomic_store_n(&page->sequence, odd, __ATOMIC_RELAXED);
	/* No store below before the one above... */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (size_t i = 0; i < VIRTFLEX_CONTENT_SIZE / sizeof *to; i++) {
		uint64_t word;

		memcpy(&word, (const char *)content + i * sizeof word, sizeof word);
		__atomic_store_n(&to[i], word, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&page->generation, generation, __ATOMIC_RELAXED);
	/* ...and none above after the one below. */
	__atomic_store_n(&page->sequence, odd + 1, __ATOMIC_RELEASE);
	publisher->torn = false;

	return generation == before ? 0
				    : announce(publisher->directory, generation, monotonic_ns());
}

void virtflex_publisher_close(struct virtflex_publisher *publisher)
{
	if (publisher->page)
		munmap(publisher->page, VIRTFLEX_PAGE_SIZE);
	if (publisher->fd >= 0)
		close(publisher->fd);
	if (publisher->directory >= 0)
		close(publisher->directory);
	*publisher = (struct virtflex_publisher){ .fd = -1, .directory = -1 };
}
