/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <napi.h>

/* Adds the class Store to the addon's exports. */
void define_store(Napi::Env env, Napi::Object exports);
