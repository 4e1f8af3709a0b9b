/* SPDX-License-Identifier: MIT */
/* demi-redis-load: a client of Redis servers that measures and verifies, over Demi. */
#include <demi/demi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "echo/figures.h"
#include "echo/process.h"
#include "exchange.h"
#include "options.h"
#include "random.h"
#include "report.h"
#include "request.h"
#include "value.h"
#include "workload.h"

static int say(const struct options *options, const char *what)
{
	fprintf(stderr, "%s: %s\n", options->program, what);
	return EXIT_FAILURE;
}

/* Another number for each run on this machine, never 0. */
static uint32_t number_of_run(void)
{
	return (uint32_t)random_mix(process_now_ns() ^ ((uint64_t)getpid() << 40)) | 1;
}

static int run(const struct options *options, const struct value_table *table)
{
	struct request_texts texts;
	struct workload workload;

	if (workload_init(&workload, options, table, number_of_run()))
		return say(options, "out of memory");
	request_texts_init(&texts, options, table);
	exchange_run(&workload, &texts);
	if (workload.latency.count == 0 && !workload.interrupted)
		workload_fail(&workload, "no request was measured");
	int status = workload.failure[0] ? EXIT_FAILURE : EXIT_SUCCESS;
	if (report_results(&workload))
		status = EXIT_FAILURE;
	workload_fini(&workload);
	return status;
}

/* The values are sent from where they are made, so that is memory of the library's heap. */
static int run_with_table(const struct options *options)
{
	struct value_table table;
	uint8_t *bytes = demi_malloc(VALUE_TABLE_BYTES(options->size));

	if (!bytes)
		return say(options, "no memory for a value of this --size; see heap.max_bytes in "
				    "demi.conf(5)");
	value_table_init(&table, options->size, bytes);
	int status = run(options, &table);
	demi_free(bytes);
	return status;
}

int main(int argc, char **argv)
{
	struct options options = {.program = "demi-redis-load"};
	struct demi_args args = {.argc = argc, .argv = argv};
	int status = options_parse(&options, argc, argv);

	if (status >= 0)
		return status;
	/* A long run should not end with results that have no place to go. */
	if (!report_place_ok(&options))
		return EXIT_FAILURE;
	process_prepare();
	process_count_reports();
	int error = demi_init(&args);
	if (error) {
		fprintf(stderr, "%s: the library OS does not start: %s\n", options.program,
			strerror(error));
		return EXIT_FAILURE;
	}
	status = run_with_table(&options);
	if (options.stats)
		figures_print(options.program);
	demi_fini();
	return status;
}
