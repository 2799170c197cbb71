/* SPDX-License-Identifier: Apache-2.0 */
#include <cstddef>
#include <cstring>
#include <memory>

#include "binding.h"

extern "C" {
#include "registry.h"
#include "virtflex/topology_page.h"
}

void throw_errno(Napi::Env env, int rc, const char *operation)
{
	const char *name = strerrorname_np(-rc);
	Napi::Error error = Napi::Error::New(
		env, std::string(operation) + ": " + strerrordesc_np(-rc));

	error.Set("code", Napi::String::New(env, name ? name : "EIO"));
	throw error;
}

/* scanRuntimes(directory):
 * { pending, published: { generation, nanos }, runtimes: [{ pid, generation }] } */
static Napi::Value scan_runtimes(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	auto found = std::make_unique<virtflex_runtimes>();
	int rc = virtflex_registry_scan(found.get(),
					info[0].As<Napi::String>().Utf8Value().c_str());

	if (rc < 0)
		throw_errno(env, rc, "opendir");

	Napi::Array runtimes = Napi::Array::New(env, found->count);
	for (size_t i = 0; i < found->count; i++) {
		Napi::Object runtime = Napi::Object::New(env);

		runtime.Set("pid", found->runtime[i].pid);
		runtime.Set("generation", Napi::BigInt::New(env, found->runtime[i].generation));
		runtimes.Set(static_cast<uint32_t>(i), runtime);
	}
	Napi::Object answer = Napi::Object::New(env);
	answer.Set("pending", found->pending);
	answer.Set("runtimes", runtimes);
	Napi::Object published = Napi::Object::New(env);
	published.Set("generation", Napi::BigInt::New(env, found->published.generation));
	published.Set("nanos", Napi::BigInt::New(env, found->published.ns));
	answer.Set("published", published);
	return answer;
}

/* Where the compiler puts the fields, so that the codec in TypeScript can be
 * held against the header. */
static Napi::Object layout(Napi::Env env)
{
	using page = virtflex_topology_page;
	using node = virtflex_node;
	Napi::Object layout = Napi::Object::New(env);
	auto set = [&](const char *name, size_t value) {
		layout.Set(name, static_cast<double>(value));
	};

	set("magic", offsetof(page, magic));
	set("abi", offsetof(page, abi));
	set("sequence", offsetof(page, sequence));
	set("pageSize", offsetof(page, page_size));
	set("generation", offsetof(page, generation));
	set("nodeCount", offsetof(page, node_count));
	set("cpuCount", offsetof(page, cpu_count));
	set("resetCall", offsetof(page, reset_call));
	set("node", offsetof(page, node));
	set("nodeStride", sizeof(node));
	set("nodeFlags", offsetof(node, flags));
	set("nodeMemoryKib", offsetof(node, memory_kib));
	set("cpuNode", offsetof(page, cpu_node));
	set("distance", offsetof(page, distance));
	set("size", VIRTFLEX_PAGE_SIZE);
	set("maxNodes", VIRTFLEX_MAX_NODES);
	set("maxCpus", VIRTFLEX_MAX_CPUS);
	set("magicValue", VIRTFLEX_PAGE_MAGIC);
	set("abiValue", VIRTFLEX_PAGE_ABI);
	set("cpuOffline", VIRTFLEX_CPU_OFFLINE);
	set("nodePresent", VIRTFLEX_NODE_PRESENT);
	set("nodeOnline", VIRTFLEX_NODE_ONLINE);
	set("nodeEvacuating", VIRTFLEX_NODE_EVACUATING);
	return layout;
}

static Napi::Object init(Napi::Env env, Napi::Object exports)
{
	exports.Set("Publisher", publisher_class(env));
	exports.Set("Reader", reader_class(env));
	exports.Set("Waiter", waiter_class(env));
	exports.Set("scanRuntimes", Napi::Function::New(env, scan_runtimes));
	exports.Set("layout", layout(env));
	return exports;
}

NODE_API_MODULE(guest_notify, init)
