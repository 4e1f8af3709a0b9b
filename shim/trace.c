/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "real.h"

bool trace_on;

static unsigned long counts[COUNTS];

static const char *const names[COUNTS] = {
	[COUNT_OURS] = "sockets on the stack",
	[COUNT_KERNELS] = "sockets left to the kernel",
	[COUNT_BOTH] = "sockets on both",
	[COUNT_ACCEPTED] = "connections accepted",
	[COUNT_NO_OPTION] = "socket options refused",
	[COUNT_MILD] = "socket options ignored",
	[COUNT_NO_CALL] = "calls not carried",
	[COUNT_FORKED] = "sockets that belong to the parent",
	[COUNT_LOGS] = "files opened as logs",
	[COUNT_NO_RUNTIME] = "failed starts of the stack",
};

void trace_count(enum count which)
{
	__atomic_fetch_add(&counts[which], 1, __ATOMIC_RELAXED);
}

void trace(const char *format, ...)
{
	const int saved = errno;
	char line[512];
	va_list arguments;
	int start = snprintf(line, sizeof(line), "demi shim[%d]: ", (int)getpid());
	int length;

	va_start(arguments, format);
	length = vsnprintf(line + start, sizeof(line) - (size_t)start - 1, format, arguments);
	va_end(arguments);
	if (length < 0)
		length = 0;
	length += start;
	if (length > (int)sizeof(line) - 2)
		length = (int)sizeof(line) - 2;
	line[length++] = '\n';
	/* One call, so that lines of threads stay whole; nothing to do when nobody reads them. */
	if (real()->write(STDERR_FILENO, line, (size_t)length) < 0)
		errno = saved;
	errno = saved;
}

void trace_end(void)
{
	for (unsigned int i = 0; i < COUNTS && trace_on; i++)
		if (counts[i])
			trace("%lu %s", counts[i], names[i]);
}
