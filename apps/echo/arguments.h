/* SPDX-License-Identifier: MIT */
/*
 * Values of the command line, for getopt_long: each function takes optarg. They return -1 to go on, or
 * the program's exit status when they have refused it, in one line that says what is allowed.
 */
#ifndef ECHO_ARGUMENTS_H
#define ECHO_ARGUMENTS_H

#include <stdint.h>

#define EXIT_USAGE 2

/** argument_refuse - the one line that every refusal is, behind the program's name; EXIT_USAGE */
__attribute__((format(printf, 2, 3))) int argument_refuse(const char *program, const char *format,
							  ...);

/** argument_number - a whole number from @min to @max; argument_number_32: of 32 bits */
int argument_number(const char *program, const char *name, uint64_t min, uint64_t max,
		    uint64_t *value);
int argument_number_32(const char *program, const char *name, uint32_t min, uint32_t max,
		       uint32_t *value);

/** argument_seconds - from @min to @max, into nanoseconds */
int argument_seconds(const char *program, const char *name, double min, double max, uint64_t *ns);

/** argument_text - any, but not an empty one; optarg itself */
int argument_text(const char *program, const char *name, const char **value);

/** argument_unknown - refuse what getopt_long has answered with @option, '?' or ':' */
int argument_unknown(const char *program, int option, char **argv);

#endif /* ECHO_ARGUMENTS_H */
