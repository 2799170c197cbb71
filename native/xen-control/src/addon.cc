/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor_binding.h"
#include "store_binding.h"

static Napi::Object init(Napi::Env env, Napi::Object exports)
{
	define_hypervisor(env, exports);
	define_store(env, exports);
	return exports;
}

NODE_API_MODULE(xen_control, init)
