/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to xenstored and the threads that wait for its answers and its
 * events, so that a store that is slow, or hangs, never stops the event loop.
 *
 * No Node-API here: the binding gives a function that is called, on one of the
 * threads, whenever there is something to collect.
 */
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "libxenstore.h"

enum class StoreOp : uint32_t {
	Read,
	Write,
	List,
	Remove,
	GetPermissions,
	SetPermissions,
	Begin,
	End,
	Watch,
	Unwatch,
};

struct StorePermission {
	uint32_t domain;
	uint32_t access; /* XS_PERM_READ | XS_PERM_WRITE */
};

struct StoreJob {
	uint32_t id;
	StoreOp op;
	uint32_t transaction;
	std::string path;
	std::string value; /* what to write; a watch's token; "abort" of a transaction */
	std::vector<StorePermission> permissions;

	/* The answer. */
	int error = 0;
	std::vector<std::string> names;
};

struct StoreNews {
	std::vector<StoreJob> answers;
	/*
	 * For each watch, by its token, the paths of its events. None: more than are
	 * kept, so that anything that it watches may have changed.
	 */
	std::map<std::string, std::set<std::string>> events;
	/* xenstored has closed the connection; nothing more will come. */
	bool lost = false;
};

class StoreWorker {
public:
	/* Connects; NULL and errno if xenstored does not answer. */
	static std::shared_ptr<StoreWorker> start(const LibXenStore &xs,
						  std::function<void()> collect);

	void submit(StoreJob job);
	/* What is new since the last call. */
	StoreNews collect_news();

	/*
	 * Ends the threads and closes the connection, when the job at hand is
	 * over. collect() is not called any more.
	 */
	void stop();

	~StoreWorker();
	StoreWorker(const StoreWorker &) = delete;
	StoreWorker &operator=(const StoreWorker &) = delete;

private:
	StoreWorker(const LibXenStore &xs, xs_handle *handle, int stop_fd,
		    std::function<void()> collect);
	void serve();
	void listen();
	void perform(StoreJob &job);
	int error_of(StoreOp op, int error);
	void add_event(const char *path, const char *token);

	const LibXenStore &xs;
	xs_handle *const handle;
	/* Readable once the threads shall end. */
	const int stop_fd;
	const std::function<void()> collect;
	std::mutex mutex;
	std::condition_variable wake;
	std::deque<StoreJob> queue;
	StoreNews news;
	bool stopping = false;
	/* serve()'s own: libxenstore has no socket any more. */
	bool closed = false;
};
