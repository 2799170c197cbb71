/* SPDX-License-Identifier: Apache-2.0 */
/* A non-blocking byte stream to the agent's client: a virtio-serial port in dom0, a vchan in a guest. */
#ifndef VIRTFLEX_LAB_STREAM_H
#define VIRTFLEX_LAB_STREAM_H

#include <stddef.h>
#include <sys/types.h>

struct stream {
	int fd;           /* what to poll */
	short idle_events;    /* what to poll for when there is nothing to write … */
	short blocked_events; /* … and when a write fell short */
	/* Bytes moved, 0 for none now, -1 for a stream that has ended. */
	ssize_t (*read)(struct stream *s, void *buf, size_t n);
	ssize_t (*write)(struct stream *s, const void *buf, size_t n);
	/* Takes note of events that poll() reported. */
	void (*woken)(struct stream *s);
	void (*close)(struct stream *s);
};

/* Waits for a client if need be. NULL: errno says why not. */
struct stream *stream_open_virtio(const char *port_name);
struct stream *stream_open_vchan(const char *xenstore_path);

#endif
