/* SPDX-License-Identifier: MIT */
#include "arguments.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

int argument_refuse(const char *program, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", program);
	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is a line above */
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

int argument_number(const char *program, const char *name, uint64_t min, uint64_t max,
		    uint64_t *value)
{
	size_t digits = strspn(optarg, "0123456789");

	if (digits == 0 || optarg[digits] != '\0')
		return argument_refuse(program,
				       "--%s '%s' is not a whole number; allowed: %" PRIu64
				       " to %" PRIu64,
				       name, optarg, min, max);
	errno = 0;
	*value = strtoull(optarg, NULL, 10);
	if (errno || *value < min || *value > max)
		return argument_refuse(program,
				       "--%s %s is out of range; allowed: %" PRIu64 " to %" PRIu64,
				       name, optarg, min, max);
	return -1;
}

int argument_number_32(const char *program, const char *name, uint32_t min, uint32_t max,
		       uint32_t *value)
{
	uint64_t wide = 0;
	int status = argument_number(program, name, min, max, &wide);

	*value = (uint32_t)wide;
	return status;
}

int argument_seconds(const char *program, const char *name, double min, double max, uint64_t *ns)
{
	char *end;
	double seconds = strtod(optarg, &end);

	if (end == optarg || *end != '\0' || !(seconds >= min) || !(seconds <= max))
		return argument_refuse(program, "--%s '%s'; allowed: seconds from %.1f to %.0f",
				       name, optarg, min, max);
	*ns = (uint64_t)(seconds * (double)NS_PER_S);
	return -1;
}

int argument_text(const char *program, const char *name, const char **value)
{
	if (optarg[0] == '\0')
		return argument_refuse(program, "--%s is empty; it needs a value", name);
	*value = optarg;
	return -1;
}

/* The argument that it stopped at is argv[optind - 1]. */
int argument_unknown(const char *program, int option, char **argv)
{
	const char *argument = argv[optind - 1];

	if (option == ':')
		return argument_refuse(program, "option '%s' needs a value; see --help", argument);
	if (optopt && strncmp(argument, "--", 2) == 0)
		return argument_refuse(program, "option '%s' takes no value; see --help", argument);
	return argument_refuse(program, "unknown option '%s'; see --help", argument);
}
