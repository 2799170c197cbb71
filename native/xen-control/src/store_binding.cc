/* SPDX-License-Identifier: Apache-2.0 */
/*
 * class Store(answer, event, lost)      connects; throws { code, message }
 *   submit(id, op, transaction, path, value, permissions)
 *   close()
 *
 * answer(id, errno name or "", transaction, strings, permissions) is called for each
 * submit, in the order of the answers; event(token, paths) for each watch with
 * news; lost() when xenstored has closed the connection. Permissions are
 * [domain, access, domain, access, ...]; strings and paths are Buffers.
 */
#include "store_binding.h"

#include <cerrno>
#include <cstring>

#include "store_worker.h"

namespace {

/*
 * Wakes the event loop from a thread. Once the loop is gone it does nothing:
 * Node-API forbids even to release what answered napi_closing.
 */
class Waker {
public:
	explicit Waker(napi_threadsafe_function function) : function(function) {}

	~Waker()
	{
		if (function)
			napi_release_threadsafe_function(function, napi_tsfn_release);
	}

	void operator()()
	{
		if (function && napi_call_threadsafe_function(function, nullptr,
							      napi_tsfn_nonblocking) == napi_closing)
			function = nullptr;
	}

	Waker(const Waker &) = delete;
	Waker &operator=(const Waker &) = delete;

private:
	napi_threadsafe_function function;
};

Napi::Error failure(Napi::Env env, const char *code, const std::string &message)
{
	Napi::Error error = Napi::Error::New(env, message);

	error.Set("code", Napi::String::New(env, code));
	return error;
}

Napi::Value buffer(Napi::Env env, const std::string &bytes)
{
	return Napi::Buffer<char>::Copy(env, bytes.data(), bytes.size());
}

class Store;

/* What a wake-up still on its way finds: the store, or that it is gone. */
struct Link {
	Store *store;
};

class Store : public Napi::ObjectWrap<Store> {
public:
	static Napi::Function define(Napi::Env env)
	{
		return DefineClass(env, "Store",
				   { InstanceMethod<&Store::submit>("submit"),
				     InstanceMethod<&Store::close>("close") });
	}

	explicit Store(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Store>(info)
	{
		Napi::Env env = info.Env();
		std::string why_not;
		const LibXenStore *xs = libxenstore(why_not);

		if (!xs)
			throw failure(env, "ENOLIB", why_not);
		answer = Napi::Persistent(info[0].As<Napi::Function>());
		event = Napi::Persistent(info[1].As<Napi::Function>());
		lost = Napi::Persistent(info[2].As<Napi::Function>());

		auto own = std::make_unique<Link>(Link{ this });
		napi_status status = napi_create_threadsafe_function(
			env, nullptr, nullptr, Napi::String::New(env, "xenstore"), 0, 1, own.get(),
			[](napi_env, void *ended, void *) { delete static_cast<Link *>(ended); },
			own.get(),
			[](napi_env loop, napi_value, void *context, void *) {
				Store *store = static_cast<Link *>(context)->store;

				/* No loop: the thread ends. */
				if (loop && store)
					store->collect_or_raise(loop);
			},
			&wakes);

		if (status != napi_ok)
			throw failure(env, "EIO", "no thread-safe function");
		link = own.release();
		/* What is waited for keeps the process alive, not the connection. */
		napi_unref_threadsafe_function(env, wakes);

		auto waker = std::make_shared<Waker>(wakes);

		worker = StoreWorker::start(*xs, [waker] { (*waker)(); });
		if (!worker) {
			int error = errno;

			link->store = nullptr;
			throw failure(env, "ENOSTORE", strerror(error));
		}
		Ref();
	}

private:
	/* What a callback throws nobody catches; of a thread that is being ended it is nothing. */
	void collect_or_raise(napi_env env)
	{
		try {
			collect(env);
		} catch (const Napi::Error &error) {
			napi_fatal_exception(env, error.Value());
		}
	}

	void collect(Napi::Env env)
	{
		if (!worker)
			return;
		Napi::HandleScope scope(env);
		const StoreNews news = worker->collect_news();

		for (const StoreJob &job : news.answers) {
			if (!worker) /* closed by what it was told */
				return;
			if (--waiting == 0)
				napi_unref_threadsafe_function(env, wakes);
			give(env, job);
		}
		for (const auto &[token, paths] : news.events) {
			if (!worker)
				return;
			Napi::Array list = Napi::Array::New(env, paths.size());
			uint32_t i = 0;

			for (const std::string &path : paths)
				list.Set(i++, buffer(env, path));
			event.Call({ Napi::String::New(env, token), list });
		}
		if (worker && news.lost)
			lost.Call({});
	}

	void submit(const Napi::CallbackInfo &info)
	{
		StoreJob job;

		job.id = info[0].As<Napi::Number>().Uint32Value();
		job.op = static_cast<StoreOp>(info[1].As<Napi::Number>().Uint32Value());
		job.transaction = info[2].As<Napi::Number>().Uint32Value();
		job.path = info[3].As<Napi::String>().Utf8Value();
		job.value = info[4].As<Napi::String>().Utf8Value();

		Napi::Array permissions = info[5].As<Napi::Array>();

		for (uint32_t i = 0; i + 1 < permissions.Length(); i += 2)
			job.permissions.push_back(
				{ permissions.Get(i).As<Napi::Number>().Uint32Value(),
				  permissions.Get(i + 1).As<Napi::Number>().Uint32Value() });
		if (!worker)
			throw failure(info.Env(), "ECLOSED", "the connection is closed");
		if (waiting++ == 0)
			napi_ref_threadsafe_function(info.Env(), wakes);
		worker->submit(std::move(job));
	}

	void give(Napi::Env env, const StoreJob &job)
	{
		const char *name = job.error ? strerrorname_np(job.error) : "";
		Napi::Array strings = Napi::Array::New(env, job.names.size());
		Napi::Array permissions = Napi::Array::New(env);
		uint32_t i = 0;

		for (const std::string &each : job.names)
			strings.Set(i++, buffer(env, each));
		i = 0;
		if (job.op == StoreOp::GetPermissions)
			for (const StorePermission &each : job.permissions) {
				permissions.Set(i++, each.domain);
				permissions.Set(i++, each.access);
			}
		answer.Call({ Napi::Number::New(env, job.id), Napi::String::New(env, name ? name : "EIO"),
			      Napi::Number::New(env, job.transaction), strings, permissions });
	}

	void close(const Napi::CallbackInfo &info)
	{
		if (!worker)
			return;
		if (waiting)
			napi_unref_threadsafe_function(info.Env(), wakes);
		waiting = 0;
		link->store = nullptr;
		worker->stop();
		worker.reset();
		/* They hold whoever holds the store. */
		answer.Reset();
		event.Reset();
		lost.Reset();
		Unref();
	}

	std::shared_ptr<StoreWorker> worker;
	Napi::FunctionReference answer;
	Napi::FunctionReference event;
	Napi::FunctionReference lost;
	napi_threadsafe_function wakes = nullptr;
	Link *link = nullptr;
	size_t waiting = 0;
};

} // namespace

void define_store(Napi::Env env, Napi::Object exports)
{
	exports.Set("Store", Store::define(env));
}
