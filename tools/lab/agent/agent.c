/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lab's agent: runs commands for a client and carries their stdin, stdout, stderr and exit status, many at a time.
 *
 *	agent virtio PORT-NAME		in dom0
 *	agent vchan XENSTORE-PATH	in a guest
 *
 * It is also the init of both: it reaps whatever is orphaned, and does what the kernel and busybox expect of an init at power-off.
 * One thread, one poll loop. It runs ahead of all normal tasks so that a command can look at, or end, a machine that is busy; what it
 * starts does not inherit that.
 */
#define _GNU_SOURCE
#include "frame.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_COMMANDS 128
#define MAX_ARGS 1024
#define OUT_HIGH (4 * VF_FRAME_MAX) /* past this much unsent, commands' output waits in their pipes */

struct buffer {
	unsigned char *data;
	size_t start, end, size;
};

struct command {
	bool used;
	uint32_t channel;
	pid_t pid; /* also its process group; 0 once reaped */
	int status;
	int in, out, err;    /* pipes; -1 once closed */
	struct buffer input; /* what the command has not read yet, at most VF_WINDOW */
	bool input_ended;
	uint32_t out_credit, err_credit;
};

static struct command commands[MAX_COMMANDS];
static struct buffer received, unsent;
static struct stream *stream;
static sigset_t handled_signals;

static void fatal(const char *what)
{
	fprintf(stderr, "lab agent: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- buffers ---- */

static size_t filled(const struct buffer *b)
{
	return b->end - b->start;
}

static unsigned char *reserve(struct buffer *b, size_t n)
{
	if (b->start) {
		memmove(b->data, b->data + b->start, filled(b));
		b->end -= b->start;
		b->start = 0;
	}
	if (b->size - b->end < n) {
		size_t size = b->end + n;
		unsigned char *data = realloc(b->data, size);

		if (!data)
			fatal("memory");
		b->data = data;
		b->size = size;
	}
	return b->data + b->end;
}

static void append(struct buffer *b, const void *data, size_t n)
{
	memcpy(reserve(b, n), data, n);
	b->end += n;
}

static void release(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){ 0 };
}

/* ---- frames out ---- */

static void send_frame(uint32_t channel, uint32_t type, const void *payload, uint32_t length)
{
	struct vf_frame frame = { channel, type, length };

	append(&unsent, &frame, sizeof(frame));
	if (length)
		append(&unsent, payload, length);
}

static void send_pair(uint32_t channel, uint32_t type, uint32_t first, uint32_t second)
{
	uint32_t payload[2] = { first, second };

	send_frame(channel, type, payload, sizeof(payload));
}

/* ---- commands ---- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static struct command *find(uint32_t channel)
{
	for (int i = 0; i < MAX_COMMANDS; i++)
		if (commands[i].used && commands[i].channel == channel)
			return &commands[i];
	return NULL;
}

static void forget(struct command *c)
{
	close_fd(&c->in);
	close_fd(&c->out);
	close_fd(&c->err);
	release(&c->input);
	c->used = false;
}

static void run_child(char **argv, const int in[2], const int out[2], const int err[2], int failure)
{
	int e;

	setsid();
	if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
		goto failed;
	/* The agent stays on the first node; a command starts with the kernel's default. */
	syscall(SYS_set_mempolicy, 0, NULL, 0);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &handled_signals, NULL);
	execvp(argv[0], argv);
failed:
	e = errno;
	if (write(failure, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

static int spawn(struct command *c, char **argv)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 }, failure[2] = { -1, -1 };
	int e = 0;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) || pipe2(failure, O_CLOEXEC)) {
		e = errno;
		goto out;
	}
	c->pid = fork();
	if (c->pid < 0) {
		e = errno;
		goto out;
	}
	if (c->pid == 0)
		run_child(argv, in, out, err, failure[1]);
	close_fd(&failure[1]);
	if (read(failure[0], &e, sizeof(e)) != sizeof(e))
		e = 0;
	if (e) {
		waitpid(c->pid, NULL, 0);
		goto out;
	}
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	c->in = in[1];
	c->out = out[0];
	c->err = err[0];
	in[1] = out[0] = err[0] = -1;
out:
	for (int i = 0; i < 2; i++) {
		close_fd(&in[i]);
		close_fd(&out[i]);
		close_fd(&err[i]);
		close_fd(&failure[i]);
	}
	return e;
}

static int start(uint32_t channel, char *args, size_t length)
{
	char *argv[MAX_ARGS + 1];
	struct command *c = NULL;
	size_t argc = 0;
	int e;

	if (length == 0 || args[length - 1] != '\0')
		return EINVAL;
	for (char *p = args; p < args + length; p += strlen(p) + 1) {
		if (argc == MAX_ARGS)
			return E2BIG;
		argv[argc++] = p;
	}
	argv[argc] = NULL;

	for (int i = 0; !c && i < MAX_COMMANDS; i++)
		if (!commands[i].used)
			c = &commands[i];
	if (!c)
		return EAGAIN;
	*c = (struct command){ .channel = channel, .in = -1, .out = -1, .err = -1,
			       .out_credit = VF_WINDOW, .err_credit = VF_WINDOW };
	e = spawn(c, argv);
	c->used = e == 0;
	return e;
}

static void feed(struct command *c)
{
	ssize_t n = 0;

	while (c->in >= 0 && filled(&c->input) > 0) {
		n = write(c->in, c->input.data + c->input.start, filled(&c->input));
		if (n <= 0)
			break;
		c->input.start += n;
		send_pair(c->channel, VF_CREDIT, VF_STDIN, n);
	}
	if (n < 0 && errno != EAGAIN) { /* the command closed its stdin: take and drop what else comes */
		close_fd(&c->in);
		send_pair(c->channel, VF_CREDIT, VF_STDIN, filled(&c->input));
		release(&c->input);
	}
	if (c->input_ended && filled(&c->input) == 0)
		close_fd(&c->in);
}

/* Returns whether the pipe was found empty or closed: after the command's end, all of its output has then been sent. */
static bool drain(struct command *c, int *fd, uint32_t type, uint32_t *credit)
{
	static unsigned char chunk[VF_FRAME_MAX];

	while (*fd >= 0) {
		size_t room = *credit < sizeof(chunk) ? *credit : sizeof(chunk);
		ssize_t n;

		if (room == 0 || filled(&unsent) > OUT_HIGH)
			return false;
		n = read(*fd, chunk, room);
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0) {
			close_fd(fd);
			break;
		}
		*credit -= n;
		send_frame(c->channel, type, chunk, n);
	}
	return true;
}

static void advance(struct command *c)
{
	bool ended = c->pid == 0; /* read before the pipes are: what it wrote last is in them by now */
	bool out, err;

	feed(c);
	out = drain(c, &c->out, VF_STDOUT, &c->out_credit);
	err = drain(c, &c->err, VF_STDERR, &c->err_credit);
	if (!ended || !out || !err)
		return;
	if (WIFSIGNALED(c->status))
		send_pair(c->channel, VF_EXIT, VF_SIGNALED, WTERMSIG(c->status));
	else
		send_pair(c->channel, VF_EXIT, VF_EXITED, WEXITSTATUS(c->status));
	forget(c);
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < MAX_COMMANDS; i++) {
			struct command *c = &commands[i];

			if (c->used && c->pid == pid) {
				c->pid = 0;
				c->status = status;
			}
		}
	}
}

/* ---- frames in ---- */

static bool pair_of(const void *payload, uint32_t length, uint32_t pair[2])
{
	if (length != 2 * sizeof(uint32_t))
		return false;
	memcpy(pair, payload, length);
	return true;
}

/* False: the client broke the protocol. */
static bool dispatch(const struct vf_frame *f, unsigned char *payload)
{
	struct command *c = find(f->channel);
	uint32_t pair[2], signal_number;
	int e;

	if (f->type == VF_EXEC) {
		if (c)
			return false;
		e = start(f->channel, (char *)payload, f->length);
		if (e)
			send_pair(f->channel, VF_EXIT, VF_NOT_RUN, e);
		return true;
	}
	if (!c) /* it has ended while this frame was under way */
		return true;
	switch (f->type) {
	case VF_STDIN:
		if (c->input_ended || filled(&c->input) + f->length > VF_WINDOW)
			return false;
		c->input_ended = f->length == 0;
		if (c->in >= 0)
			append(&c->input, payload, f->length);
		else
			send_pair(c->channel, VF_CREDIT, VF_STDIN, f->length);
		return true;
	case VF_SIGNAL:
		if (f->length != sizeof(signal_number))
			return false;
		memcpy(&signal_number, payload, sizeof(signal_number));
		if (c->pid)
			kill(-c->pid, signal_number);
		return true;
	case VF_CREDIT:
		if (!pair_of(payload, f->length, pair))
			return false;
		*(pair[0] == VF_STDOUT ? &c->out_credit : &c->err_credit) += pair[1];
		return true;
	default:
		return false;
	}
}

/* False: the stream has ended, or can't be understood. */
static bool receive(void)
{
	for (;;) {
		struct vf_frame f;
		ssize_t n = stream->read(stream, reserve(&received, VF_FRAME_MAX), VF_FRAME_MAX);

		if (n <= 0)
			return n == 0;
		received.end += n;
		while (filled(&received) >= sizeof(f)) {
			memcpy(&f, received.data + received.start, sizeof(f));
			if (f.length > VF_FRAME_MAX)
				return false;
			if (filled(&received) < sizeof(f) + f.length)
				break;
			if (!dispatch(&f, received.data + received.start + sizeof(f)))
				return false;
			received.start += sizeof(f) + f.length;
		}
	}
}

/* Returns 1 for all sent, 0 for a full stream, -1 for an ended one. */
static int flush_out(void)
{
	while (filled(&unsent) > 0) {
		ssize_t n = stream->write(stream, unsent.data + unsent.start, filled(&unsent));

		if (n <= 0)
			return n;
		unsent.start += n;
	}
	return 1;
}

/* ---- the loop ---- */

static void take_signals(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD || getpid() != 1)
			continue;
		sync();
		reboot(info.ssi_signo == SIGTERM ? RB_AUTOBOOT : RB_POWER_OFF);
	}
	reap();
}

static void serve(int signals)
{
	send_frame(0, VF_HELLO, NULL, 0);
	for (;;) {
		struct pollfd fds[2 + 3 * MAX_COMMANDS];
		nfds_t n = 2;
		int flushed;

		if (!receive())
			break;
		for (int i = 0; i < MAX_COMMANDS; i++)
			if (commands[i].used)
				advance(&commands[i]);
		flushed = flush_out();
		if (flushed < 0)
			break;

		fds[0] = (struct pollfd){ .fd = stream->fd,
					  .events = flushed ? stream->idle_events : stream->blocked_events };
		fds[1] = (struct pollfd){ .fd = signals, .events = POLLIN };
		for (int i = 0; i < MAX_COMMANDS; i++) {
			struct command *c = &commands[i];

			if (!c->used)
				continue;
			if (c->in >= 0 && filled(&c->input) > 0)
				fds[n++] = (struct pollfd){ .fd = c->in, .events = POLLOUT };
			if (filled(&unsent) > OUT_HIGH)
				continue;
			if (c->out >= 0 && c->out_credit > 0)
				fds[n++] = (struct pollfd){ .fd = c->out, .events = POLLIN };
			if (c->err >= 0 && c->err_credit > 0)
				fds[n++] = (struct pollfd){ .fd = c->err, .events = POLLIN };
		}
		if (poll(fds, n, -1) < 0 && errno != EINTR)
			fatal("poll");
		if (fds[0].revents & POLLIN)
			stream->woken(stream);
		/* Without a client a virtio port reports POLLHUP at once, always. */
		else if (fds[0].revents & POLLHUP)
			nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
		if (fds[1].revents)
			take_signals(signals);
	}
}

static void end_commands(void)
{
	for (int i = 0; i < MAX_COMMANDS; i++) {
		if (!commands[i].used)
			continue;
		if (commands[i].pid)
			kill(-commands[i].pid, SIGKILL);
		forget(&commands[i]);
	}
	release(&received);
	release(&unsent);
}

int main(int argc, char **argv)
{
	unsigned long first_node = 1;
	int signals;

	if (argc != 3 || (strcmp(argv[1], "virtio") != 0 && strcmp(argv[1], "vchan") != 0)) {
		fprintf(stderr, "usage: %s virtio PORT-NAME | vchan XENSTORE-PATH\n", argv[0]);
		return 2;
	}
	sigemptyset(&handled_signals);
	sigaddset(&handled_signals, SIGCHLD);
	sigaddset(&handled_signals, SIGTERM);
	sigaddset(&handled_signals, SIGUSR1);
	sigaddset(&handled_signals, SIGUSR2);
	sigprocmask(SIG_BLOCK, &handled_signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signals = signalfd(-1, &handled_signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (signals < 0)
		fatal("signalfd");
	sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &(struct sched_param){ .sched_priority = 1 });
	/* MPOL_PREFERRED: neither the agent nor its ring's pages are to hold a node that a test takes away. */
	syscall(SYS_set_mempolicy, 1, &first_node, 8 * sizeof(first_node));

	for (;;) {
		stream = strcmp(argv[1], "vchan") == 0 ? stream_open_vchan(argv[2]) : stream_open_virtio(argv[2]);
		if (!stream)
			fatal(argv[2]);
		serve(signals);
		stream->close(stream);
		end_commands();
	}
}
