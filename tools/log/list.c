/* SPDX-License-Identifier: MIT */
/* demi-log list, and demi-log check. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static int print_log(const demi_log_t *log, void *context)
{
	(void)context;
	printf("%12" PRIu64 " %12" PRIu64 " %9" PRIu64 "K  %s%s\n", log->log_first, log->log_end,
	       log->log_bytes >> 10, log->log_name, log->log_damaged ? "  (damaged)" : "");
	return 0;
}

static int add_log(const demi_log_t *log, void *context)
{
	json_t *list = context;

	return json_array_append_new(
		       list, json_pack("{s:s%, s:I, s:I, s:I, s:b}", "name", log->log_name,
				       strlen(log->log_name), "first", (json_int_t)log->log_first,
				       "end", (json_int_t)log->log_end, "bytes",
				       (json_int_t)log->log_bytes, "damaged", log->log_damaged)) ==
			       0
		       ? 0
		       : ENOMEM;
}

static int list_json(void)
{
	json_t *list = json_array();
	int error = list ? demi_log_each(add_log, list) : ENOMEM;

	if (!error)
		error = json_dumpf(list, stdout, JSON_INDENT(2)) == 0 ? 0 : EIO;
	putchar('\n');
	json_decref(list);
	return error;
}

int log_list(const struct log_options *options)
{
	int error;

	if (options->json) {
		error = list_json();
	} else {
		printf("%12s %12s %10s  %s\n", "FIRST", "END", "SPACE", "NAME");
		error = demi_log_each(print_log, NULL);
	}
	return error ? log_refuse("cannot list the logs: %s", strerror(error)) : EXIT_SUCCESS;
}

static void print_problem(const char *log, uint64_t record, const char *problem, void *context)
{
	(void)context;
	if (!problem)
		printf("%s: ok, records up to %" PRIu64 "\n", log, record);
	else if (log[0])
		printf("%s: record %" PRIu64 " %s\n", log, record, problem);
	else
		printf("device: %s\n", problem);
}

int log_check(const struct log_options *options)
{
	uint64_t problems = 0;
	int error = demi_log_check(print_problem, NULL, &problems);

	(void)options;
	if (error)
		return log_refuse("the check did not come to its end: %s", strerror(error));
	if (problems == 0)
		return EXIT_SUCCESS;
	printf("%" PRIu64 " problems\n", problems);
	return EXIT_FAILURE;
}
