/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for events without polling for them: a thread sleeps in poll(2) on
 * one descriptor and tells the event loop.  Events that come faster than they
 * are handled are told once, and the thread looks at most every 100 us, so that
 * whoever makes them costs us a bounded time.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include "binding.h"

/* What changes who is registered, and IN_DELETE_SELF, after which nothing comes. */
static constexpr uint32_t directory_events = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE |
					     IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |
					     IN_ONLYDIR;

/* new Waiter(directory, callback)     any change of or in a directory
 * new Waiter(reader fd, callback)     a new generation of the kernel module's page
 *                                     until it is acknowledged
 *   callback(gone)                    gone: the directory or the module was, and this
 *                                     is the last call
 *   .close()                          no call comes after it */
class Waiter : public Napi::ObjectWrap<Waiter> {
public:
	explicit Waiter(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Waiter>(info)
	{
		Napi::Env env = info.Env();
		int rc = info[0].IsString() ? open_directory(info[0].As<Napi::String>())
					    : open_page(info[0].As<Napi::Number>());

		if (rc == 0) {
			stop_ = eventfd(0, EFD_CLOEXEC);
			rc = stop_ < 0 ? -errno : 0;
		}
		if (rc < 0) {
			close_descriptors();
			throw_errno(env, rc, "wait");
		}
		tell_ = Napi::ThreadSafeFunction::New(env, info[1].As<Napi::Function>(), "Waiter",
						      0, 1);
		thread_ = std::thread([this] { run(); });
	}

	~Waiter() override { stop(); }

	static Napi::Function define(Napi::Env env)
	{
		return DefineClass(env, "Waiter", { InstanceMethod<&Waiter::close>("close") });
	}

private:
	int open_directory(const std::string &path)
	{
		fd_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (fd_ < 0 || inotify_add_watch(fd_, path.c_str(), directory_events) < 0)
			return -errno;
		events_ = POLLIN;
		return 0;
	}

	/* The descriptor is the reader's, and is the same registration in a copy. */
	int open_page(int fd)
	{
		fd_ = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		events_ = POLLPRI;
		return fd_ < 0 ? -errno : 0;
	}

	void run()
	{
		bool gone = false;

		while (!gone) {
			pollfd fds[] = { { fd_, events_, 0 }, { stop_, POLLIN, 0 } };

			if (poll(fds, 2, -1) < 0 && errno != EINTR)
				return;
			if (fds[1].revents)
				return;
			if (!fds[0].revents)
				continue;
			gone = fds[0].revents & (POLLERR | POLLHUP | POLLNVAL);
			/* A new generation stays an event until it is acknowledged. */
			if (!gone && events_ == POLLIN)
				gone = !drain();
			if (!told_.exchange(true) || gone)
				tell_.NonBlockingCall([this, gone](Napi::Env env, Napi::Function callback) {
					told_ = false;
					callback.Call({ Napi::Boolean::New(env, gone) });
				});
			std::this_thread::sleep_for(std::chrono::microseconds(100));
		}
	}

	/* Whether more can come. */
	bool drain()
	{
		alignas(inotify_event) char buffer[4096];
		bool more = true;
		ssize_t length;

		while ((length = read(fd_, buffer, sizeof buffer)) > 0)
			for (char *at = buffer; at < buffer + length;) {
				auto *event = reinterpret_cast<inotify_event *>(at);

				if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED))
					more = false;
				at += sizeof *event + event->len;
			}
		return more;
	}

	void stop()
	{
		uint64_t one = 1;

		if (!thread_.joinable())
			return;
		while (write(stop_, &one, sizeof one) < 0 && errno == EINTR)
			;
		thread_.join();
		tell_.Abort();
		close_descriptors();
	}

	void close_descriptors()
	{
		if (fd_ >= 0)
			::close(fd_);
		if (stop_ >= 0)
			::close(stop_);
		fd_ = stop_ = -1;
	}

	Napi::Value close(const Napi::CallbackInfo &info)
	{
		stop();
		return info.Env().Undefined();
	}

	int fd_ = -1;
	int stop_ = -1;
	short events_ = 0;
	std::atomic<bool> told_{ false };
	Napi::ThreadSafeFunction tell_;
	std::thread thread_;
};

Napi::Function waiter_class(Napi::Env env)
{
	return Waiter::define(env);
}
