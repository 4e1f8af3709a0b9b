/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef REDIS_LOAD_OPTIONS_H
#define REDIS_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "echo/address.h"

#define OPTIONS_SIZE_MAX (UINT32_C(1) << 29) /* bytes of a value: Redis's own limit */
#define OPTIONS_PREFIX_MAX 128               /* bytes of what each key begins with */

enum command { COMMAND_GET, COMMAND_SET, COMMAND_MIXED };

struct options {
	const char *program; /* set by main: the name in messages and results */

	struct address address;
	char address_text[ADDRESS_TEXT_MAX]; /* resolved, numeric */
	uint32_t connections;
	uint32_t pipeline; /* requests under way on each connection */
	enum command command;
	uint32_t ratio_gets, ratio_sets; /* of a mixed run: so many GETs for so many SETs */
	uint32_t size;                   /* bytes of a value */
	uint32_t copy_max;               /* bytes of a value that is copied into its request */
	uint64_t keys;
	const char *prefix; /* what each key begins with */
	uint64_t seed;
	uint64_t requests;    /* measured ones; 0: no limit */
	uint64_t duration_ns; /* of the measurement; 0: no limit */
	uint64_t warmup_ns;   /* before it */
	uint64_t rate;        /* requests a second; 0: as many as are answered */
	const char *user;     /* NULL: Redis's default user */
	const char *password; /* NULL: none */
	bool prefill;         /* SET every key first */
	bool verify;          /* every byte of the values that come */
	bool allow_nil;       /* a key that is not there does not end the run */
	bool allow_errors;    /* nor does a reply that is an error */
	const char *json;     /* file for the results, "-": standard output; NULL: none */
	bool stats;           /* print the library's statistics at the end */
	bool quiet;
};

/** options_command_name - "get", "set", "mixed" */
const char *options_command_name(enum command command);

/**
 * options_parse - read the command line
 * @options: program is set, the rest is filled here
 *
 * Says on standard error what is wrong and what is allowed. Return: -1 to go on, otherwise the
 * status to exit with.
 */
int options_parse(struct options *options, int argc, char **argv);

#endif /* REDIS_LOAD_OPTIONS_H */
