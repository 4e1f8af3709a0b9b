/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_BYTES_MAX 1024 /* of one line, prefix and newline included */
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

/* A message at the old or the new level is equally right while it changes: relaxed will do. */
static _Atomic(enum config_log_level) level_written = CONFIG_LOG_WARNING;

void log_set_level(enum config_log_level level)
{
	atomic_store_explicit(&level_written, level, memory_order_relaxed);
}

static const char *level_name(enum config_log_level level)
{
	switch (level) {
	case CONFIG_LOG_ERROR:
		return "error";
	case CONFIG_LOG_WARNING:
		return "warning";
	case CONFIG_LOG_INFO:
		return "info";
	case CONFIG_LOG_DEBUG:
		return "debug";
	}
	return "message";
}

/* Return: the length of the line, its newline included; there is no terminating zero. */
PRINTF_LIKE(3, 0)
static size_t line_format(char line[MESSAGE_BYTES_MAX], enum config_log_level level,
			  const char *format, va_list arguments)
{
	int prefix = snprintf(line, MESSAGE_BYTES_MAX, "demi: %s: ", level_name(level));
	size_t start = (size_t)prefix, room = MESSAGE_BYTES_MAX - start;
	int written = vsnprintf(line + start, room, format, arguments);
	size_t length = start + (written < 0 ? 0 : (size_t)written);

	if (length > MESSAGE_BYTES_MAX - 1) {
		length = MESSAGE_BYTES_MAX - 1;
		memcpy(line + length - 3, "...", 3);
	}
	for (size_t i = start; i < length; i++) /* one message stays one line */
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';
	line[length] = '\n';
	return length + 1;
}

void log_write(enum config_log_level level, const char *format, ...)
{
	char line[MESSAGE_BYTES_MAX];
	int saved_errno = errno; /* a message about an error must not replace it */
	va_list arguments;
	size_t length;

	if (level > atomic_load_explicit(&level_written, memory_order_relaxed))
		return;
	va_start(arguments, format);
	length = line_format(line, level, format, arguments);
	va_end(arguments);
	/* One write, so that the lines of several threads and processes do not mix. */
	while (write(STDERR_FILENO, line, length) < 0 && errno == EINTR)
		continue;
	errno = saved_errno;
}
