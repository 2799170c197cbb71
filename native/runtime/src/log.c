/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool verbose;

void vfrt_log_start(void)
{
	const char *value = getenv("VIRTFLEX_VERBOSE");

	verbose = value && *value && strcmp(value, "0") != 0;
}

void vfrt_log(const char *format, ...)
{
	char line[512];
	int saved = errno;
	size_t used;
	va_list arguments;

	if (!verbose)
		return;
	used = (size_t)snprintf(line, sizeof line, "virtflex[%d]: ", (int)getpid());
	va_start(arguments, format);
	vsnprintf(line + used, sizeof line - used - 1, format, arguments);
	va_end(arguments);
	used = strlen(line);
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, used) < 0)
		verbose = false;
	errno = saved;
}
