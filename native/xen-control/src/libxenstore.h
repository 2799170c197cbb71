/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libxenstore, opened at run time. Only its headers are needed to build, and
 * a machine without Xen can load this addon.
 */
#pragma once

#include <string>

extern "C" {
#include <xenstore.h>
}

struct LibXenStore {
	decltype(&xs_open) open;
	decltype(&xs_close) close;
	decltype(&xs_read) read;
	decltype(&xs_write) write;
	decltype(&xs_rm) rm;
	decltype(&xs_directory) directory;
	decltype(&xs_get_permissions) get_permissions;
	decltype(&xs_set_permissions) set_permissions;
	decltype(&xs_transaction_start) transaction_start;
	decltype(&xs_transaction_end) transaction_end;
	decltype(&xs_watch) watch;
	decltype(&xs_unwatch) unwatch;
	decltype(&xs_check_watch) check_watch;
	decltype(&xs_fileno) fileno;
};

/* The library, or NULL and why not. The first call decides for good. */
const LibXenStore *libxenstore(std::string &why_not);
