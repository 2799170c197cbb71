/* SPDX-License-Identifier: Apache-2.0 */
/* vchan: a ring of shared pages and an event channel. The guest is the server, dom0's relay the client. */
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <libxenvchan.h>

#define RING_BYTES 65536 /* each way */

struct vchan_stream {
	struct stream stream;
	struct libxenvchan *chan;
};

static struct libxenvchan *chan_of(struct stream *s)
{
	return ((struct vchan_stream *)s)->chan;
}

static ssize_t vchan_read(struct stream *s, void *buf, size_t n)
{
	return libxenvchan_read(chan_of(s), buf, n);
}

static ssize_t vchan_write(struct stream *s, const void *buf, size_t n)
{
	struct libxenvchan *chan = chan_of(s);

	switch (libxenvchan_is_open(chan)) {
	case 0:
		return -1;
	case 2: /* no client yet */
		return 0;
	default:
		return libxenvchan_write(chan, buf, n);
	}
}

static void vchan_woken(struct stream *s)
{
	libxenvchan_wait(chan_of(s));
}

static void vchan_close(struct stream *s)
{
	libxenvchan_close(chan_of(s));
	free(s);
}

struct stream *stream_open_vchan(const char *xenstore_path)
{
	struct vchan_stream *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->chan = libxenvchan_server_init(NULL, 0, xenstore_path, RING_BYTES, RING_BYTES);
	if (!v->chan) {
		free(v);
		return NULL;
	}
	v->chan->blocking = 0;
	v->stream = (struct stream){
		.fd = libxenvchan_fd_for_select(v->chan),
		/* Space in the ring is an event as data is. */
		.idle_events = POLLIN,
		.blocked_events = POLLIN,
		.read = vchan_read,
		.write = vchan_write,
		.woken = vchan_woken,
		.close = vchan_close,
	};
	return &v->stream;
}
