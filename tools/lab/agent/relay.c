/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay DOMID XENSTORE-PATH: in dom0, joins stdin and stdout to the vchan that the agent of a guest serves.
 *
 * Waits until the guest's agent is there. Ends with status 0 when stdin ends, with 1 when the guest or its agent does.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libxenvchan.h>
#include <xenstore.h>

struct pipe_buffer {
	char data[65536];
	size_t start, end;
};

/*
 * Whether the domain is there. Asked once a second, as a domain that dies signals no event channel. While xenstored is away (the vchan
 * itself needs it no more) it is taken to be. No watch: libxenstore would start a thread, with too small a stack for a static program.
 */
static bool domain_gone(struct xs_handle **xs, unsigned int domid)
{
	bool gone;

	if (!*xs)
		*xs = xs_open(0);
	if (!*xs)
		return false;
	errno = 0;
	gone = !xs_is_domain_introduced(*xs, domid);
	if (gone && errno) {
		xs_close(*xs);
		*xs = NULL;
		return false;
	}
	return gone;
}

/* Waits for the guest's agent to serve the path; NULL if the domain goes away first. */
static struct libxenvchan *connect_guest(struct xs_handle **xs, unsigned int domid, const char *path)
{
	while (!domain_gone(xs, domid)) {
		struct libxenvchan *chan = libxenvchan_client_init(NULL, domid, path);

		if (chan)
			return chan;
		poll(NULL, 0, 300);
	}
	return NULL;
}

/* Moves what it can from src to dst. False: the guest's end has closed. */
static bool pump_in(struct libxenvchan *chan, struct pipe_buffer *b, bool *ended)
{
	for (;;) {
		while (b->start < b->end) {
			int n = libxenvchan_write(chan, b->data + b->start, b->end - b->start);

			if (n <= 0)
				return n == 0;
			b->start += n;
		}
		ssize_t n = read(0, b->data, sizeof(b->data));
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0) {
			*ended = true;
			return true;
		}
		b->start = 0;
		b->end = n;
	}
}

static bool pump_out(struct libxenvchan *chan, struct pipe_buffer *b, bool *ended)
{
	for (;;) {
		while (b->start < b->end) {
			ssize_t n = write(1, b->data + b->start, b->end - b->start);

			if (n < 0 && errno == EAGAIN)
				return true;
			if (n < 0) {
				*ended = true;
				return true;
			}
			b->start += n;
		}
		int n = libxenvchan_read(chan, b->data, sizeof(b->data));
		if (n <= 0)
			return n == 0;
		b->start = 0;
		b->end = n;
	}
}

int main(int argc, char **argv)
{
	static struct pipe_buffer in, out;
	struct xs_handle *xs = NULL;
	struct libxenvchan *chan;
	unsigned int domid;
	bool ended = false;
	char *end;

	if (argc != 3 || (domid = strtoul(argv[1], &end, 10), *end)) {
		fprintf(stderr, "usage: %s DOMID XENSTORE-PATH\n", argv[0]);
		return 2;
	}
	chan = connect_guest(&xs, domid, argv[2]);
	if (!chan) {
		fprintf(stderr, "relay: domain %u has gone\n", domid);
		return 1;
	}
	chan->blocking = 0;
	fcntl(0, F_SETFL, O_NONBLOCK);
	fcntl(1, F_SETFL, O_NONBLOCK);

	while (pump_in(chan, &in, &ended) && pump_out(chan, &out, &ended)) {
		struct pollfd fds[3] = {
			{ .fd = libxenvchan_fd_for_select(chan), .events = POLLIN },
			{ .fd = in.start < in.end ? -1 : 0, .events = POLLIN },
			{ .fd = out.start < out.end ? 1 : -1, .events = POLLOUT },
		};

		if (ended) {
			libxenvchan_close(chan);
			return 0;
		}
		if (poll(fds, 3, 1000) == 0 && domain_gone(&xs, domid))
			break;
		if (fds[0].revents)
			libxenvchan_wait(chan);
	}
	fprintf(stderr, "relay: the agent of domain %u has gone\n", domid);
	return 1;
}
