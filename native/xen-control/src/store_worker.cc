/* SPDX-License-Identifier: Apache-2.0 */
#include "store_worker.h"

#include <cerrno>
#include <cstdlib>
#include <poll.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <utility>

/* Paths kept for one watch while nobody collects them. */
static const size_t max_paths = 1024;

/* How soon a connection that xenstored closed is noticed: libxenstore's
 * descriptor does not tell. */
static const int check_ms = 1000;

StoreWorker::StoreWorker(const LibXenStore &xs, xs_handle *handle, int stop_fd,
			 std::function<void()> collect)
	: xs(xs), handle(handle), stop_fd(stop_fd), collect(std::move(collect))
{
}

std::shared_ptr<StoreWorker> StoreWorker::start(const LibXenStore &xs,
						std::function<void()> collect)
{
	xs_handle *handle = xs.open(0);

	if (!handle)
		return nullptr;
	int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (stop_fd < 0) {
		xs.close(handle);
		return nullptr;
	}
	std::shared_ptr<StoreWorker> worker(
		new StoreWorker(xs, handle, stop_fd, std::move(collect)));

	/* Detached: a thread that waits for a store that hangs cannot be joined. They
	 * share the ownership, so the last of them closes the connection. */
	std::thread([worker] { worker->serve(); }).detach();
	std::thread([worker] { worker->listen(); }).detach();
	return worker;
}

StoreWorker::~StoreWorker()
{
	xs.close(handle);
	close(stop_fd);
}

void StoreWorker::submit(StoreJob job)
{
	std::lock_guard<std::mutex> lock(mutex);

	queue.push_back(std::move(job));
	wake.notify_one();
}

StoreNews StoreWorker::collect_news()
{
	std::lock_guard<std::mutex> lock(mutex);

	return std::exchange(news, {});
}

void StoreWorker::stop()
{
	std::lock_guard<std::mutex> lock(mutex);

	stopping = true;
	wake.notify_one();
	eventfd_write(stop_fd, 1);
}

/* collect() is called under the lock: never after stop() has returned. */

void StoreWorker::serve()
{
	std::unique_lock<std::mutex> lock(mutex);

	for (;;) {
		wake.wait(lock, [this] { return stopping || !queue.empty(); });
		if (stopping)
			return;
		StoreJob job = std::move(queue.front());

		queue.pop_front();
		lock.unlock();
		perform(job);
		lock.lock();
		news.answers.push_back(std::move(job));
		if (!stopping)
			collect();
	}
}

void StoreWorker::listen()
{
	struct pollfd fds[] = { { xs.fileno(handle), POLLIN, 0 }, { stop_fd, POLLIN, 0 } };

	for (;;) {
		poll(fds, 2, check_ms);
		if (fds[1].revents)
			return;
		bool lost = false;

		for (;;) {
			errno = 0;
			char **event = xs.check_watch(handle);

			if (!event) {
				lost = errno != EAGAIN;
				break;
			}
			add_event(event[XS_WATCH_PATH], event[XS_WATCH_TOKEN]);
			free(event);
		}
		std::lock_guard<std::mutex> lock(mutex);

		news.lost = lost;
		if (!stopping && (lost || !news.events.empty()))
			collect();
		if (lost || stopping)
			return;
	}
}

void StoreWorker::add_event(const char *path, const char *token)
{
	std::lock_guard<std::mutex> lock(mutex);
	auto found = news.events.find(token);

	if (found == news.events.end()) {
		news.events[token].insert(path);
		return;
	}
	/* Empty: there were too many, and still are. */
	if (found->second.empty())
		return;
	found->second.insert(path);
	if (found->second.size() > max_paths)
		found->second.clear();
}

static bool keep(void *found)
{
	free(found);
	return found != nullptr;
}

void StoreWorker::perform(StoreJob &job)
{
	const char *path = job.path.c_str();
	xs_transaction_t t = job.transaction;
	unsigned int count = 0;
	bool ok = false;

	errno = 0;
	switch (job.op) {
	case StoreOp::Read: {
		void *value = xs.read(handle, t, path, &count);

		if (value)
			job.names.emplace_back(static_cast<char *>(value), count);
		ok = keep(value);
		break;
	}
	case StoreOp::Write:
		ok = xs.write(handle, t, path, job.value.data(), job.value.size());
		break;
	case StoreOp::List: {
		char **names = xs.directory(handle, t, path, &count);

		for (unsigned int i = 0; names && i < count; i++)
			job.names.emplace_back(names[i]);
		ok = keep(names);
		break;
	}
	case StoreOp::Remove:
		ok = xs.rm(handle, t, path);
		break;
	case StoreOp::GetPermissions: {
		xs_permissions *permissions = xs.get_permissions(handle, t, path, &count);

		for (unsigned int i = 0; permissions && i < count; i++)
			job.permissions.push_back(
				{ permissions[i].id,
				  static_cast<uint32_t>(permissions[i].perms) });
		ok = keep(permissions);
		break;
	}
	case StoreOp::SetPermissions: {
		std::vector<xs_permissions> permissions;

		for (const StorePermission &each : job.permissions) {
			xs_permissions one = {};

			one.id = each.domain;
			one.perms = static_cast<decltype(one.perms)>(each.access);
			permissions.push_back(one);
		}
		ok = xs.set_permissions(handle, t, path, permissions.data(), permissions.size());
		break;
	}
	case StoreOp::Begin:
		job.transaction = xs.transaction_start(handle);
		ok = job.transaction != XBT_NULL;
		break;
	case StoreOp::End:
		ok = xs.transaction_end(handle, t, job.value == "abort");
		break;
	case StoreOp::Watch:
		ok = xs.watch(handle, path, job.value.c_str());
		break;
	case StoreOp::Unwatch:
		ok = xs.unwatch(handle, path, job.value.c_str());
		break;
	}
	if (!ok)
		job.error = error_of(job.op, errno);
}

int StoreWorker::error_of(StoreOp op, int error)
{
	if (error != EBADF && error != EPIPE && error != ECONNRESET)
		return error ? error : EIO;
	/* libxenstore has closed its socket. It does so, too, when a list is longer than
	 * a message, which oxenstored sends all the same. */
	bool before = std::exchange(closed, true);

	return op == StoreOp::List && error == EBADF && !before ? E2BIG : error;
}
