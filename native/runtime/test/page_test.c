/* SPDX-License-Identifier: Apache-2.0 */
#include "virtflex/page.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "fake.h"

static int map_file(const void *content, size_t size, mode_t mode)
{
	const char *path = fake_file("page", content, size);
	struct vfrt_mapping mapping;
	int rc;

	CHECK(chmod(path, mode) == 0);
	rc = vfrt_map(&mapping, path);
	if (rc == 0) {
		CHECK(mapping.publisher == VFRT_PUBLISHER_FILE);
		vfrt_unmap(&mapping);
		vfrt_unmap(&mapping);
	} else {
		CHECK(!mapping.page);
	}
	return rc;
}

static void hostile_files(void)
{
	struct virtflex_topology_page page = fake_page(2, 4);
	unsigned char image[VIRTFLEX_PAGE_SIZE] = { 0 };
	char path[128];
	struct vfrt_mapping mapping;

	memcpy(image, &page, sizeof page);
	CHECK(map_file(image, sizeof image, 0600) == 0);
	CHECK(map_file(image, sizeof image, 0444) == 0);
	CHECK(map_file(image, sizeof image, 0602) == -EPERM);
	CHECK(map_file(image, sizeof image - 1, 0600) == -EINVAL);
	CHECK(map_file(image, 0, 0600) == -EINVAL);
	CHECK(map_file("garbage", 7, 0600) == -EINVAL);

	image[0] ^= 1; /* magic */
	CHECK(map_file(image, sizeof image, 0600) == -EINVAL);
	image[0] ^= 1;
	image[4] ^= 2; /* abi */
	CHECK(map_file(image, sizeof image, 0600) == -EINVAL);
	image[4] ^= 2;
	image[13] ^= 1; /* page_size */
	CHECK(map_file(image, sizeof image, 0600) == -EINVAL);

	CHECK(vfrt_map(&mapping, "/nonexistent/page") == -ENOENT);
	CHECK(vfrt_map(&mapping, fake_directory()) < 0);
	CHECK(vfrt_map(&mapping, "/dev/null") == -EINVAL);
	snprintf(path, sizeof path, "%s/fifo", fake_directory());
	CHECK(mkfifo(path, 0600) == 0);
	CHECK(vfrt_map(&mapping, path) == -EINVAL);
}

static void hostile_contents(void)
{
	struct virtflex_topology_page good = fake_page(64, 1024), page, copy;

	CHECK(vfrt_copy(&copy, &good) == 0 && memcmp(&copy, &good, sizeof good) == 0);

	page = good;
	page.node_count = 65;
	CHECK(vfrt_copy(&copy, &page) == -EINVAL);
	page.node_count = 0;
	CHECK(vfrt_copy(&copy, &page) == -EINVAL);
	page = good;
	page.cpu_count = 1025;
	CHECK(vfrt_copy(&copy, &page) == -EINVAL);
	page.cpu_count = 0xffffffffu;
	CHECK(vfrt_copy(&copy, &page) == -EINVAL);
	page = good;
	page.cpu_node[1023] = 64;
	CHECK(vfrt_copy(&copy, &page) == -EINVAL);
	page.cpu_node[1023] = VIRTFLEX_CPU_OFFLINE;
	CHECK(vfrt_copy(&copy, &page) == 0);
	page.magic++;
	CHECK(vfrt_copy(&copy, &page) == -EINVAL);
	page = good;
	page.cpu_count = 512;
	page.cpu_node[512] = 64; /* beyond the count: nobody reads it */
	CHECK(vfrt_copy(&copy, &page) == 0);

	/* A publisher that died in mid-write, and its successor's repair. */
	page = good;
	page.sequence = 7;
	CHECK(vfrt_copy(&copy, &page) == -EAGAIN);
	page.sequence = 8;
	CHECK(vfrt_copy(&copy, &page) == 0);
}

static void end_of_mapping(void)
{
	struct virtflex_topology_page page = fake_page(2, 4);
	const struct virtflex_topology_page *polled;
	struct vfrt_mapping mapping;
	char path[PATH_MAX];
	int fd;

	fake_publisher("page", &page);
	snprintf(path, sizeof path, "%s/page", fake_directory());
	CHECK(vfrt_map(&mapping, path) == 0);
	polled = mapping.page;
	fd = mapping.file.fd;
	vfrt_detach(&mapping);
	CHECK(!mapping.page && fcntl(fd, F_GETFD) < 0 && vfrt_page_generation(polled) == 0);

	/* The program has closed the descriptor, and has another file by its number. */
	CHECK(vfrt_map(&mapping, path) == 0);
	fd = mapping.file.fd;
	close(fd);
	CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) == fd);
	vfrt_unmap(&mapping);
	CHECK(!mapping.page && fcntl(fd, F_GETFD) >= 0);
}

int main(void)
{
	end_of_mapping();
	hostile_files();
	hostile_contents();
	return 0;
}
