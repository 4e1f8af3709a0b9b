/* SPDX-License-Identifier: MIT */
#include "txnstore/check/why.h"

#include <stdarg.h>
#include <stdio.h>

void why_init(struct why *why, char *text, size_t size)
{
	*why = (struct why){.text = text, .size = size};
	if (size)
		text[0] = '\0';
}

void why_add(struct why *why, const char *format, ...)
{
	va_list arguments;

	if (why->used + 1 >= why->size)
		return;
	size_t room = why->size - why->used;
	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is a line above */
	int length = vsnprintf(why->text + why->used, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		why->used += (size_t)length < room ? (size_t)length : room - 1;
}
