/* SPDX-License-Identifier: MIT */
#include "verdict_words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void lacks(struct verdict *verdict, const char *format, ...)
{
	va_list arguments;

	verdict->outcome = IS_MISSING;
	va_start(arguments, format);
	vsnprintf(verdict->missing, sizeof(verdict->missing), format, arguments);
	va_end(arguments);
}

void with(struct verdict *verdict, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(verdict->command, sizeof(verdict->command), format, arguments);
	va_end(arguments);
}

const char *as_root(const struct machine *machine)
{
	return machine->is_root ? "" : "sudo ";
}

bool has_no_wire(const struct interface *interface)
{
	static const char *const drivers[] = {"ifb", "dummy", "bridge", "bonding", "tun"};

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (strcmp(interface->driver, drivers[i]) == 0)
			return true;
	}
	return false;
}
