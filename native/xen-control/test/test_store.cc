/* SPDX-License-Identifier: Apache-2.0 */
/* A connection and its threads, on Debian's C xenstored: argv[1], with argv[2] preloaded. */
#include "../src/store_worker.h"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

namespace {

std::string directory;
pid_t daemon_pid;

void start_daemon(char **argv)
{
	daemon_pid = fork();
	CHECK(daemon_pid >= 0);
	if (daemon_pid == 0) {
		setenv("LD_PRELOAD", argv[2], 1);
		setenv("XENSTORED_RUNDIR", directory.c_str(), 1);
		execl(argv[1], argv[1], "--no-fork", "--internal-db", nullptr);
		_exit(127);
	}
	struct stat found;

	for (int tries = 0; stat((directory + "/socket").c_str(), &found); tries++) {
		CHECK(tries < 3000 && waitpid(daemon_pid, nullptr, WNOHANG) == 0);
		usleep(10000);
	}
}

void end_daemon()
{
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, nullptr, 0);
	unlink((directory + "/socket").c_str());
}

/* A worker and what it has told. */
class Client {
public:
	explicit Client(const LibXenStore &xs)
	{
		worker = StoreWorker::start(xs, [this] {
			std::lock_guard<std::mutex> lock(mutex);
			fresh = true;
			told.notify_one();
		});
		CHECK(worker);
	}

	~Client()
	{
		worker->stop();
	}

	StoreJob ask(StoreOp op, const std::string &path, const std::string &value = "",
		     uint32_t transaction = 0)
	{
		StoreJob job = {};

		job.id = ++last;
		job.op = op;
		job.path = path;
		job.value = value;
		job.transaction = transaction;
		if (op == StoreOp::SetPermissions)
			job.permissions = { { 0, 0 }, { 7, 1 } };
		worker->submit(job);
		while (answers.find(last) == answers.end())
			collect();
		return answers[last];
	}

	void collect()
	{
		std::unique_lock<std::mutex> lock(mutex);

		told.wait(lock, [this] { return fresh; });
		fresh = false;
		lock.unlock();
		StoreNews news = worker->collect_news();

		for (StoreJob &job : news.answers)
			answers[job.id] = job;
		for (auto &[token, paths] : news.events)
			events[token].insert(paths.begin(), paths.end());
		lost = lost || news.lost;
	}

	std::map<std::string, std::set<std::string>> events;
	bool lost = false;
	std::shared_ptr<StoreWorker> worker;

private:
	std::mutex mutex;
	std::condition_variable told;
	bool fresh = false;
	uint32_t last = 0;
	std::map<uint32_t, StoreJob> answers;
};

void operations(const LibXenStore &xs)
{
	Client client(xs);

	CHECK(client.ask(StoreOp::Write, "/a/b", "value").error == 0);
	CHECK(client.ask(StoreOp::Read, "/a/b").names.at(0) == "value");
	CHECK(client.ask(StoreOp::List, "/a").names.at(0) == "b");
	CHECK(client.ask(StoreOp::Read, "/absent").error == ENOENT);
	CHECK(client.ask(StoreOp::SetPermissions, "/a/b").error == 0);
	CHECK(client.ask(StoreOp::GetPermissions, "/a/b").permissions.size() == 2);
	CHECK(client.ask(StoreOp::Watch, "/a", "token").error == 0);

	uint32_t transaction = client.ask(StoreOp::Begin, "/").transaction;

	CHECK(client.ask(StoreOp::Write, "/a/c", "1", transaction).error == 0);
	CHECK(client.ask(StoreOp::End, "/", "commit", transaction).error == 0);
	while (!client.events["token"].count("/a/c"))
		client.collect();
	CHECK(client.ask(StoreOp::Unwatch, "/a", "token").error == 0);
	CHECK(client.ask(StoreOp::Remove, "/a").error == 0);
}

/* Closed while jobs wait, and events that nobody collects. */
void abandoned(const LibXenStore &xs)
{
	for (int i = 0; i < 50; i++) {
		Client client(xs);

		client.ask(StoreOp::Watch, "/w", "token");
		for (int j = 0; j < 20; j++) {
			StoreJob job = {};

			job.id = 1000 + j;
			job.op = StoreOp::Write;
			job.path = "/w/" + std::to_string(j);
			job.value = "x";
			client.worker->submit(job);
		}
	}
}

void flooded(const LibXenStore &xs)
{
	Client client(xs), writer(xs);

	client.ask(StoreOp::Watch, "/flood", "token");
	for (int i = 0; i < 3000; i++)
		writer.ask(StoreOp::Write, "/flood/" + std::to_string(i), "x");
	/* More paths than are kept: an entry without any, however late it is collected. */
	for (int tries = 0; tries < 3000; tries++) {
		StoreNews news = client.worker->collect_news();

		for (auto &[token, paths] : news.events)
			CHECK(paths.size() <= 1024);
		usleep(1000);
		if (news.events.empty())
			break;
	}
	writer.ask(StoreOp::Remove, "/flood");
}

void lost(const LibXenStore &xs, char **argv)
{
	Client client(xs);

	client.ask(StoreOp::Watch, "/lost", "token");
	end_daemon();
	while (!client.lost)
		client.collect();
	CHECK(client.ask(StoreOp::Read, "/").error != 0);
	start_daemon(argv);
	operations(xs);
}

size_t threads()
{
	std::filesystem::directory_iterator tasks("/proc/self/task");

	return std::distance(begin(tasks), end(tasks));
}

} // namespace

int main(int, char **argv)
{
	char name[] = "/tmp/virtflex-store-XXXXXX";
	std::string why_not;

	CHECK(mkdtemp(name));
	directory = name;
	setenv("XENSTORED_PATH", (directory + "/socket").c_str(), 1);
	const LibXenStore *xs = libxenstore(why_not);

	CHECK(xs);
	CHECK(!StoreWorker::start(*xs, [] {}));
	start_daemon(argv);
	operations(*xs);
	abandoned(*xs);
	flooded(*xs);
	lost(*xs, argv);
	end_daemon();
	while (rmdir(name) != 0)
		CHECK(errno == ENOTEMPTY && unlink((directory + "/xenstored.pid").c_str()) == 0);
	/* The threads are detached: what they still hold is no leak. */
	while (threads() > 1)
		usleep(1000);
	return 0;
}
