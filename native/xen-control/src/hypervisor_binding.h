/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <napi.h>

/* Adds host, domains, domain, pin, setLimit and claim to the addon's exports. */
void define_hypervisor(Napi::Env env, Napi::Object exports);
