/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the addon share. */
#ifndef VIRTFLEX_BINDING_H
#define VIRTFLEX_BINDING_H

#include <napi.h>

/* Throws an Error whose `code` is the errno's name, such as "ENOENT". */
[[noreturn]] void throw_errno(Napi::Env env, int rc, const char *operation);

Napi::Function publisher_class(Napi::Env env);
Napi::Function reader_class(Napi::Env env);
Napi::Function waiter_class(Napi::Env env);

#endif
