/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readMachine(), readXml(path), readSynthetic(description):
 *     { nodes: [{ osIndex, cpus, memoryBytes }], distances: number[] }
 * writeXml(xml, distances: number[]): string
 */
#include <napi.h>

#include "hwloc_topology.h"

namespace {

/* Numbers are doubles: hwloc's bytes stay exact below 2^53. */
template <typename T>
Napi::Array to_array(Napi::Env env, const std::vector<T> &values)
{
	Napi::Array array = Napi::Array::New(env, values.size());

	for (size_t i = 0; i < values.size(); i++)
		array.Set(static_cast<uint32_t>(i),
			  Napi::Number::New(env, static_cast<double>(values[i])));
	return array;
}

Napi::Object to_object(Napi::Env env, const virtflex::numa &numa)
{
	Napi::Array nodes = Napi::Array::New(env, numa.nodes.size());
	Napi::Object object = Napi::Object::New(env);

	for (size_t i = 0; i < numa.nodes.size(); i++) {
		const virtflex::node &from = numa.nodes[i];
		Napi::Object node = Napi::Object::New(env);

		node.Set("osIndex", Napi::Number::New(env, from.os_index));
		node.Set("cpus", to_array(env, from.cpus));
		node.Set("memoryBytes",
			 Napi::Number::New(env, static_cast<double>(from.memory_bytes)));
		nodes.Set(static_cast<uint32_t>(i), node);
	}
	object.Set("nodes", nodes);
	object.Set("distances", to_array(env, numa.distances));
	return object;
}

template <typename F>
auto guarded(Napi::Env env, F call)
{
	try {
		return call();
	} catch (const virtflex::hwloc_error &error) {
		throw Napi::Error::New(env, error.what());
	}
}

std::string text(const Napi::CallbackInfo &info)
{
	if (!info[0].IsString())
		throw Napi::TypeError::New(info.Env(), "a string is expected");
	return info[0].As<Napi::String>().Utf8Value();
}

Napi::Value read_machine(const Napi::CallbackInfo &info)
{
	return guarded(info.Env(),
		       [&] { return to_object(info.Env(), virtflex::read_machine()); });
}

Napi::Value read_xml(const Napi::CallbackInfo &info)
{
	return guarded(info.Env(),
		       [&] { return to_object(info.Env(), virtflex::read_xml(text(info))); });
}

Napi::Value read_synthetic(const Napi::CallbackInfo &info)
{
	return guarded(info.Env(), [&] {
		return to_object(info.Env(), virtflex::read_synthetic(text(info)));
	});
}

Napi::Value write_xml(const Napi::CallbackInfo &info)
{
	if (!info[1].IsArray())
		throw Napi::TypeError::New(info.Env(), "an array is expected");
	Napi::Array array = info[1].As<Napi::Array>();
	std::vector<uint64_t> distances;

	for (uint32_t i = 0; i < array.Length(); i++)
		distances.push_back(array.Get(i).ToNumber().Uint32Value());
	return guarded(info.Env(), [&] {
		return Napi::String::New(info.Env(), virtflex::write_xml(text(info), distances));
	});
}

Napi::Object init(Napi::Env env, Napi::Object exports)
{
	exports.Set("readMachine", Napi::Function::New(env, read_machine));
	exports.Set("readXml", Napi::Function::New(env, read_xml));
	exports.Set("readSynthetic", Napi::Function::New(env, read_synthetic));
	exports.Set("writeXml", Napi::Function::New(env, write_xml));
	return exports;
}

}

NODE_API_MODULE(topo_model, init)
