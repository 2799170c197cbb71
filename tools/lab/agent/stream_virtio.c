/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-serial: a character device, found by the port's name in sysfs since dom0 runs no udev. */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t result(ssize_t n)
{
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n;
}

static ssize_t virtio_read(struct stream *s, void *buf, size_t n)
{
	ssize_t r = read(s->fd, buf, n);

	/* The driver reports 0 while no client has the socket open. */
	return r == 0 ? 0 : result(r);
}

static ssize_t virtio_write(struct stream *s, const void *buf, size_t n)
{
	return result(write(s->fd, buf, n));
}

static void virtio_woken(struct stream *s)
{
	(void)s;
}

static void virtio_close(struct stream *s)
{
	close(s->fd);
	free(s);
}

static int find_port(const char *port_name, char *device, size_t size)
{
	int found = -1;
	glob_t names;

	if (glob("/sys/class/virtio-ports/*/name", 0, NULL, &names))
		return -1;
	for (size_t i = 0; found < 0 && i < names.gl_pathc; i++) {
		char line[128] = "", port[32];
		FILE *f = fopen(names.gl_pathv[i], "re");

		if (!f)
			continue;
		if (fgets(line, sizeof(line), f))
			line[strcspn(line, "\n")] = '\0';
		fclose(f);
		if (strcmp(line, port_name) == 0 &&
		    sscanf(names.gl_pathv[i], "/sys/class/virtio-ports/%31[^/]", port) == 1) {
			snprintf(device, size, "/dev/%s", port);
			found = 0;
		}
	}
	globfree(&names);
	return found;
}

struct stream *stream_open_virtio(const char *port_name)
{
	char device[64];
	struct stream *s;

	if (find_port(port_name, device, sizeof(device))) {
		errno = ENODEV;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	*s = (struct stream){
		.fd = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC),
		.idle_events = POLLIN,
		.blocked_events = POLLIN | POLLOUT,
		.read = virtio_read,
		.write = virtio_write,
		.woken = virtio_woken,
		.close = virtio_close,
	};
	if (s->fd < 0) {
		free(s);
		return NULL;
	}
	return s;
}
