/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host()                        domains()             domain(id)
 * pin(id, vcpu, cpus)           setLimit(id, bytes)   claim(id, bytes)
 * move(id, vnode, node, next, pages)                  setVnodeNode(id, vnode, node)
 * residentBytes(id)             close()
 *
 * Each answers a promise and works on a thread of the pool; it is rejected with
 * an Error that has a `code`. Bytes are numbers, below 2^53.
 */
#include "hypervisor_binding.h"

#include <functional>

#include "libxenctrl.h"

namespace {

/* Does `work` on a thread, then gives what `convert` makes of its result. */
template <typename T> class Call : public Napi::AsyncWorker {
public:
	Call(Napi::Env env, std::function<T()> work,
	     std::function<Napi::Value(Napi::Env, const T &)> convert)
		: Napi::AsyncWorker(env), promise(Napi::Promise::Deferred::New(env)),
		  work(std::move(work)), convert(std::move(convert))
	{
	}

	Napi::Promise start()
	{
		Napi::Promise answer = promise.Promise();

		Queue();
		return answer;
	}

protected:
	void Execute() override
	{
		try {
			result = work();
		} catch (const XenFailure &failure) {
			code = failure.code;
			SetError(failure.what());
		}
	}

	void OnOK() override
	{
		promise.Resolve(convert(Env(), result));
	}

	void OnError(const Napi::Error &error) override
	{
		error.Value().Set("code", code);
		promise.Reject(error.Value());
	}

private:
	Napi::Promise::Deferred promise;
	std::function<T()> work;
	std::function<Napi::Value(Napi::Env, const T &)> convert;
	T result = {};
	std::string code = "EIO";
};

template <typename T>
Napi::Value call(const Napi::CallbackInfo &info, std::function<T()> work,
		 std::function<Napi::Value(Napi::Env, const T &)> convert)
{
	/* Deletes itself when it is done. */
	return (new Call<T>(info.Env(), std::move(work), std::move(convert)))->start();
}

/* For what has no result. */
Napi::Value order(const Napi::CallbackInfo &info, std::function<void()> work)
{
	return call<bool>(
		info,
		[work] {
			work();
			return true;
		},
		[](Napi::Env env, const bool &) { return env.Undefined(); });
}

uint32_t id_at(const Napi::CallbackInfo &info, size_t index)
{
	return info[index].As<Napi::Number>().Uint32Value();
}

uint64_t bytes_at(const Napi::CallbackInfo &info, size_t index)
{
	return static_cast<uint64_t>(info[index].As<Napi::Number>().Int64Value());
}

template <typename T> Napi::Array numbers(Napi::Env env, const std::vector<T> &values)
{
	Napi::Array array = Napi::Array::New(env, values.size());

	for (uint32_t i = 0; i < values.size(); i++)
		array.Set(i, static_cast<double>(values[i]));
	return array;
}

template <typename T>
Napi::Array objects(Napi::Env env, const std::vector<T> &values,
		    const std::function<void(Napi::Object, const T &)> &fill)
{
	Napi::Array array = Napi::Array::New(env, values.size());

	for (uint32_t i = 0; i < values.size(); i++) {
		Napi::Object object = Napi::Object::New(env);

		fill(object, values[i]);
		array.Set(i, object);
	}
	return array;
}

Napi::Value host_object(Napi::Env env, const XenHost &host)
{
	Napi::Object object = Napi::Object::New(env);

	object.Set("nodes", objects<XenHost::Node>(env, host.nodes, [](auto node, const auto &from) {
			   node.Set("id", from.id);
			   node.Set("sizeBytes", static_cast<double>(from.size_bytes));
			   node.Set("freeBytes", static_cast<double>(from.free_bytes));
		   }));
	object.Set("cpus", objects<XenHost::Cpu>(env, host.cpus, [](auto cpu, const auto &from) {
			   cpu.Set("id", from.id);
			   cpu.Set("node", from.node);
		   }));
	object.Set("distances", numbers(env, host.distances));
	return object;
}

Napi::Value domain_objects(Napi::Env env, const std::vector<XenDomain> &domains)
{
	return objects<XenDomain>(env, domains, [env](auto domain, const XenDomain &from) {
		domain.Set("id", from.id);
		domain.Set("paused", from.paused);
		domain.Set("dying", from.dying);
		domain.Set("heldBytes", static_cast<double>(from.held_bytes));
		domain.Set("limitBytes", static_cast<double>(from.limit_bytes));
		domain.Set("claimedBytes", static_cast<double>(from.claimed_bytes));
		domain.Set("vcpus",
			   objects<XenDomain::Vcpu>(env, from.vcpus,
						    [env](auto vcpu, const auto &of) {
							    vcpu.Set("id", of.id);
							    vcpu.Set("online", of.online);
							    vcpu.Set("affinity",
								     numbers(env, of.affinity));
							    vcpu.Set("softAffinity",
								     numbers(env,
									     of.soft_affinity));
						    }));
		domain.Set("vnodes",
			   objects<XenDomain::Vnode>(env, from.vnodes,
						     [env](auto vnode, const auto &of) {
							     vnode.Set("sizeBytes",
								       static_cast<double>(
									       of.size_bytes));
							     vnode.Set("vcpus",
								       numbers(env, of.vcpus));
						     }));
		domain.Set("distances", numbers(env, from.distances));
	});
}

Napi::Value close(const Napi::CallbackInfo &info)
{
	return order(info, xen_close);
}

Napi::Value host(const Napi::CallbackInfo &info)
{
	return call<XenHost>(info, xen_host, host_object);
}

Napi::Value domains(const Napi::CallbackInfo &info)
{
	return call<std::vector<XenDomain>>(info, xen_domains, domain_objects);
}

Napi::Value domain(const Napi::CallbackInfo &info)
{
	uint32_t id = id_at(info, 0);

	return call<std::vector<XenDomain>>(
		info, [id] { return xen_domain(id); }, domain_objects);
}

Napi::Value resident_bytes(const Napi::CallbackInfo &info)
{
	uint32_t id = id_at(info, 0);

	return call<std::vector<uint64_t>>(
		info, [id] { return xen_resident_bytes(id); }, numbers<uint64_t>);
}

Napi::Value pin(const Napi::CallbackInfo &info)
{
	uint32_t id = id_at(info, 0), vcpu = id_at(info, 1);
	Napi::Array list = info[2].As<Napi::Array>();
	std::vector<uint32_t> cpus;

	for (uint32_t i = 0; i < list.Length(); i++)
		cpus.push_back(list.Get(i).As<Napi::Number>().Uint32Value());
	return order(info, [id, vcpu, cpus] { xen_pin(id, vcpu, cpus); });
}

Napi::Value set_limit(const Napi::CallbackInfo &info)
{
	uint32_t id = id_at(info, 0);
	uint64_t bytes = bytes_at(info, 1);

	return order(info, [id, bytes] { xen_set_limit(id, bytes); });
}

Napi::Value claim(const Napi::CallbackInfo &info)
{
	uint32_t id = id_at(info, 0);
	uint64_t bytes = bytes_at(info, 1);

	return order(info, [id, bytes] { xen_claim(id, bytes); });
}

Napi::Value move(const Napi::CallbackInfo &info)
{
	uint32_t id = id_at(info, 0), vnode = id_at(info, 1), node = id_at(info, 2);
	uint64_t next = bytes_at(info, 3);
	uint32_t pages = id_at(info, 4);

	return call<XenMove>(
		info, [=] { return xen_move(id, vnode, node, next, pages); },
		[](Napi::Env env, const XenMove &move) {
			Napi::Object object = Napi::Object::New(env);

			if (move.next != UINT64_MAX)
				object.Set("next", static_cast<double>(move.next));
			object.Set("movedPages", static_cast<double>(move.moved_pages));
			object.Set("skippedPages", static_cast<double>(move.skipped_pages));
			return object;
		});
}

Napi::Value set_vnode_node(const Napi::CallbackInfo &info)
{
	uint32_t id = id_at(info, 0), vnode = id_at(info, 1), node = id_at(info, 2);

	return order(info, [=] { xen_set_vnode_node(id, vnode, node); });
}

} // namespace

void define_hypervisor(Napi::Env env, Napi::Object exports)
{
	exports.Set("close", Napi::Function::New(env, close));
	exports.Set("host", Napi::Function::New(env, host));
	exports.Set("domains", Napi::Function::New(env, domains));
	exports.Set("domain", Napi::Function::New(env, domain));
	exports.Set("residentBytes", Napi::Function::New(env, resident_bytes));
	exports.Set("pin", Napi::Function::New(env, pin));
	exports.Set("setLimit", Napi::Function::New(env, set_limit));
	exports.Set("claim", Napi::Function::New(env, claim));
	exports.Set("move", Napi::Function::New(env, move));
	exports.Set("setVnodeNode", Napi::Function::New(env, set_vnode_node));
}
