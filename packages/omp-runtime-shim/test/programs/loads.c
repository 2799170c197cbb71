/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the libraries that it is given, as an interpreter does, and prints what each says. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		void *loaded = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
		int (*library)(void);

		if (!loaded)
			return fprintf(stderr, "%s\n", dlerror()) > 0;
		*(void **)&library = dlsym(loaded, "library");
		printf("%d\n", library());
	}
	return 0;
}
