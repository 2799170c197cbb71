/* SPDX-License-Identifier: Apache-2.0 */
#include "libxenstore.h"

#include <dlfcn.h>

/* The ABI of Xen 4.17 to 4.20; a library of another one has another name. */
static const char name[] = "libxenstore.so.4";

template <typename F> static bool find(void *library, F &function, const char *symbol)
{
	function = reinterpret_cast<F>(dlsym(library, symbol));
	return function != nullptr;
}

static bool load(LibXenStore &xs, std::string &why_not)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		why_not = std::string(name) + " cannot be opened: " + dlerror();
		return false;
	}
	if (find(library, xs.open, "xs_open") && find(library, xs.close, "xs_close") &&
	    find(library, xs.read, "xs_read") && find(library, xs.write, "xs_write") &&
	    find(library, xs.rm, "xs_rm") && find(library, xs.directory, "xs_directory") &&
	    find(library, xs.get_permissions, "xs_get_permissions") &&
	    find(library, xs.set_permissions, "xs_set_permissions") &&
	    find(library, xs.transaction_start, "xs_transaction_start") &&
	    find(library, xs.transaction_end, "xs_transaction_end") &&
	    find(library, xs.watch, "xs_watch") && find(library, xs.unwatch, "xs_unwatch") &&
	    find(library, xs.check_watch, "xs_check_watch") &&
	    find(library, xs.fileno, "xs_fileno"))
		return true;
	why_not = std::string(name) + " is not the library that it should be: " + dlerror();
	dlclose(library);
	return false;
}

const LibXenStore *libxenstore(std::string &why_not)
{
	static LibXenStore xs;
	static std::string error;
	static const bool loaded = load(xs, error);

	why_not = error;
	return loaded ? &xs : nullptr;
}
