/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "check.h"
#include "scratch.h"
#include "virtflex/page.h"

static void read_text(char *text, size_t size, const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t length = read(fd, text, size - 1);

	CHECK(length >= 0);
	text[length < 0 ? 0 : length] = '\0';
	close(fd);
}

static void publishes(void)
{
	struct virtflex_topology_page copy;
	struct virtflex_publisher publisher;
	struct vfrt_mapping mapping;
	char announced[160], text[64];
	struct stat st;

	CHECK(virtflex_publisher_open(&publisher, page_path) == 0);
	CHECK(!publisher.torn);
	/* A page that nothing was published in yet can be mapped and polled. */
	CHECK(vfrt_map(&mapping, page_path) == 0);
	CHECK(vfrt_page_generation(mapping.page) == 0);
	CHECK(publish(&publisher, 7, 7) == 0);
	CHECK(vfrt_page_generation(mapping.page) == 7);
	CHECK(vfrt_copy(&copy, mapping.page) == 0);
	CHECK(of_one_stamp(&copy));

	snprintf(announced, sizeof announced, "%s.d/generation", page_path);
	read_text(text, sizeof text, announced);
	CHECK(strncmp(text, "7\n", 2) == 0 && strtoull(text + 2, NULL, 10) > 0);

	/* The same generation again: other content, no announcement. */
	CHECK(unlink(announced) == 0);
	CHECK(publish(&publisher, 7, 8) == 0);
	CHECK(access(announced, F_OK) < 0);
	CHECK(publish(&publisher, 6, 6) == -EINVAL);
	CHECK(vfrt_copy(&copy, mapping.page) == 0 && copy.generation == 7 && copy.reset_call == 8);

	CHECK(stat(page_path, &st) == 0 && (st.st_mode & 07777) == 0644);
	vfrt_unmap(&mapping);
	virtflex_publisher_close(&publisher);
	virtflex_publisher_close(&publisher);

	/* A successor goes on from there, and tells who waits. */
	CHECK(virtflex_publisher_open(&publisher, page_path) == 0);
	CHECK(publisher.page->generation == 7);
	read_text(text, sizeof text, announced);
	CHECK(strncmp(text, "7\n", 2) == 0 && strtoull(text + 2, NULL, 10) > 0);
	virtflex_publisher_close(&publisher);
}

static void one_at_a_time(void)
{
	struct virtflex_publisher publisher, second;
	int status;
	pid_t pid;

	CHECK(virtflex_publisher_open(&publisher, page_path) == 0);
	pid = fork();
	if (pid == 0)
		_exit(virtflex_publisher_open(&second, page_path) == -EBUSY ? 0 : 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(virtflex_publisher_open(&second, page_path) == -EBUSY);
	/* The failed ones haven't taken the lock away. */
	CHECK(virtflex_publisher_open(&second, page_path) == -EBUSY);
	virtflex_publisher_close(&publisher);
	CHECK(virtflex_publisher_open(&second, page_path) == 0);
	virtflex_publisher_close(&second);
}

static void overwrites_nothing(void)
{
	struct virtflex_publisher publisher;
	char other[128], text[32], directory[160];
	int fd;

	snprintf(other, sizeof other, "%s/letter", scratch);
	fd = open(other, O_CREAT | O_WRONLY, 0644);
	CHECK(write(fd, "Dear reader\n", 12) == 12);
	close(fd);
	CHECK(virtflex_publisher_open(&publisher, other) == -EEXIST);
	read_text(text, sizeof text, other);
	CHECK(strcmp(text, "Dear reader\n") == 0);

	snprintf(other, sizeof other, "%s/link", scratch);
	CHECK(symlink(page_path, other) == 0);
	CHECK(virtflex_publisher_open(&publisher, other) == -EEXIST);
	snprintf(other, sizeof other, "%s/fifo", scratch);
	CHECK(mkfifo(other, 0600) == 0);
	CHECK(virtflex_publisher_open(&publisher, other) == -EEXIST);
	CHECK(virtflex_publisher_open(&publisher, scratch) == -EEXIST);
	CHECK(virtflex_publisher_open(&publisher, "/nowhere/at/all") == -ENOENT);

	/* The directory beside it is no directory. */
	snprintf(other, sizeof other, "%s/alone", scratch);
	snprintf(directory, sizeof directory, "%s.d", other);
	fd = open(directory, O_CREAT | O_WRONLY, 0644);
	close(fd);
	CHECK(virtflex_publisher_open(&publisher, other) == -ENOTDIR);
	CHECK(access(other, F_OK) < 0);

	CHECK(chmod(page_path, 0666) == 0);
	CHECK(virtflex_publisher_open(&publisher, page_path) == -EPERM);
}

int main(void)
{
	scratch_make();
	publishes();
	one_at_a_time();
	overwrites_nothing();
	return 0;
}
