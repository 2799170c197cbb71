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

static struct xs_handle *open_store(const char *path)
{
	struct xs_handle *xs = xs_open(0);

	if (xs && xs_watch(xs, "@releaseDomain", "release") && xs_watch(xs, path, "agent"))
		return xs;
	if (xs)
		xs_close(xs);
	return NULL;
}

/*
 * Takes what watches fired and looks whether the domain is still there. A xenstored that went away is no sign of that: the vchan
 * needs it no more, so it is given back as NULL, to be opened anew.
 */
static struct xs_handle *take_watches(struct xs_handle *xs, unsigned int domid, bool *gone)
{
	char **event;

	while ((event = xs_check_watch(xs)))
		free(event);
	errno = 0;
	*gone = !xs_is_domain_introduced(xs, domid) && errno == 0;
	if (errno == 0)
		return xs;
	xs_close(xs);
	return NULL;
}

/* Waits for the guest's agent to serve the path; NULL if the domain goes away first, or the store does. */
static struct libxenvchan *connect_guest(struct xs_handle **xs, unsigned int domid, const char *path)
{
	bool gone = false;

	while (*xs && !gone) {
		struct pollfd fd = { .fd = xs_fileno(*xs), .events = POLLIN };
		struct libxenvchan *chan = libxenvchan_client_init(NULL, domid, path);

		if (chan)
			return chan;
		/* The path's watch fires before the event channel's key is there: look again soon, in any case. */
		poll(&fd, 1, 200);
		*xs = take_watches(*xs, domid, &gone);
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
	bool ended = false, gone = false;
	struct libxenvchan *chan;
	struct xs_handle *xs;
	unsigned int domid;
	char *end;

	if (argc != 3 || (domid = strtoul(argv[1], &end, 10), *end)) {
		fprintf(stderr, "usage: %s DOMID XENSTORE-PATH\n", argv[0]);
		return 2;
	}
	xs = open_store(argv[2]);
	if (!xs) {
		perror("relay: xenstore");
		return 1;
	}
	chan = connect_guest(&xs, domid, argv[2]);
	if (!chan) {
		fprintf(stderr, "relay: domain %u has gone\n", domid);
		return 1;
	}
	chan->blocking = 0;
	fcntl(0, F_SETFL, O_NONBLOCK);
	fcntl(1, F_SETFL, O_NONBLOCK);

	while (!gone && pump_in(chan, &in, &ended) && pump_out(chan, &out, &ended)) {
		struct pollfd fds[4] = {
			{ .fd = libxenvchan_fd_for_select(chan), .events = POLLIN },
			{ .fd = xs ? xs_fileno(xs) : -1, .events = POLLIN },
			{ .fd = in.start < in.end ? -1 : 0, .events = POLLIN },
			{ .fd = out.start < out.end ? 1 : -1, .events = POLLOUT },
		};

		if (ended) {
			libxenvchan_close(chan);
			return 0;
		}
		poll(fds, 4, xs ? -1 : 1000);
		if (fds[0].revents)
			libxenvchan_wait(chan);
		if (!xs)
			xs = open_store(argv[2]);
		else if (fds[1].revents)
			xs = take_watches(xs, domid, &gone);
	}
	fprintf(stderr, "relay: the agent of domain %u has gone\n", domid);
	return 1;
}
