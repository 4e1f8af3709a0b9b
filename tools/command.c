/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

int refuse(const char *command, int status, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "demi%s%s: ", command ? " " : "", command ? command : "");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return status;
}

int refuse_option(const char *command, int status, int option, char **argv)
{
	const char *argument = argv[optind - 1];

	if (option == ':')
		return refuse(command, status, "option '%s' needs a value; see --help", argument);
	if (optopt >= OPTION_FIRST)
		return refuse(command, status, "option '%s': it takes no value; see --help",
			      argument);
	if (optopt)
		return refuse(command, status, "unknown option '-%c'; see --help", optopt);
	return refuse(command, status, "unknown option '%s'; see --help", argument);
}
