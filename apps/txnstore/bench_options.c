/* SPDX-License-Identifier: MIT */
#include "bench_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "echo/arguments.h"
#include "echo/process.h"

#define PROGRAM_NAME "demi-txnstore bench"

static const char help[] =
	"usage: demi-txnstore bench --config FILE [OPTION]...\n"
	"\n"
	"Load a store with transactions, and tell how many were committed and how long they took, from\n"
	"when they were begun, or due, to the answer of the one that was committed.\n"
	"\n"
	"  --config FILE        the YAML file that all servers and clients have\n"
	"  --workload NAME      ycsb-a to ycsb-f, ycsb-t, retwis (ycsb-t)\n"
	"  --load               put all records there first\n"
	"  --records N          how many there are (1000000)\n"
	"  --distribution NAME  which are asked for: uniform, zipfian, scrambled, latest (the workload's)\n"
	"  --key-bytes N, --value-bytes N   of each (the workload's)\n"
	"  --operations N       in a transaction of YCSB (1)\n"
	"  --clients N          transactions under way at once (16)\n"
	"  --rate N             so many a second are due, whatever the store does (as many as it takes)\n"
	"  --pace even|poisson  how those are spaced (poisson)\n"
	"  --seconds S          measured (10)\n"
	"  --warm-up S          before (1)\n"
	"  --seed N             of what is asked for (1)\n"
	"  --json FILE          the results, '-' to standard output\n"
	"  --help               this text\n"
	"\n"
	"What is read is verified. The exit status is 1 if a value was wrong, or nothing was committed.\n";

enum {
	OPTION_CONFIG = 1,
	OPTION_WORKLOAD,
	OPTION_LOAD,
	OPTION_RECORDS,
	OPTION_DISTRIBUTION,
	OPTION_KEY,
	OPTION_VALUE,
	OPTION_OPERATIONS,
	OPTION_CLIENTS,
	OPTION_RATE,
	OPTION_PACE,
	OPTION_SECONDS,
	OPTION_WARM,
	OPTION_SEED,
	OPTION_JSON,
	OPTION_HELP,
};

static const struct option longs[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"workload", required_argument, NULL, OPTION_WORKLOAD},
	{"load", no_argument, NULL, OPTION_LOAD},
	{"records", required_argument, NULL, OPTION_RECORDS},
	{"distribution", required_argument, NULL, OPTION_DISTRIBUTION},
	{"key-bytes", required_argument, NULL, OPTION_KEY},
	{"value-bytes", required_argument, NULL, OPTION_VALUE},
	{"operations", required_argument, NULL, OPTION_OPERATIONS},
	{"clients", required_argument, NULL, OPTION_CLIENTS},
	{"rate", required_argument, NULL, OPTION_RATE},
	{"pace", required_argument, NULL, OPTION_PACE},
	{"seconds", required_argument, NULL, OPTION_SECONDS},
	{"warm-up", required_argument, NULL, OPTION_WARM},
	{"seed", required_argument, NULL, OPTION_SEED},
	{"json", required_argument, NULL, OPTION_JSON},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

/* What the command line says of the workload: it counts over the workload's own, whatever comes first. */
struct asked {
	const char *workload, *distribution;
	uint64_t records;
	uint32_t key_bytes, value_bytes, operations;
};

static int parse_pace(struct bench_options *options)
{
	if (!strcmp(optarg, "even"))
		options->pacing = PACER_EVEN;
	else if (!strcmp(optarg, "poisson"))
		options->pacing = PACER_POISSON;
	else
		return argument_refuse(PROGRAM_NAME, "--pace '%s'; allowed: even, poisson", optarg);
	return -1;
}

static int parse_workload(struct asked *asked, int option)
{
	switch (option) {
	case OPTION_WORKLOAD:
		return argument_text(PROGRAM_NAME, "workload", &asked->workload);
	case OPTION_DISTRIBUTION:
		return argument_text(PROGRAM_NAME, "distribution", &asked->distribution);
	case OPTION_RECORDS:
		return argument_number(PROGRAM_NAME, "records", 1, UINT64_MAX / 2, &asked->records);
	case OPTION_KEY:
		return argument_number_32(PROGRAM_NAME, "key-bytes", 1, UINT32_MAX,
					  &asked->key_bytes);
	case OPTION_VALUE:
		return argument_number_32(PROGRAM_NAME, "value-bytes", 1, UINT32_MAX,
					  &asked->value_bytes);
	default:
		return argument_number_32(PROGRAM_NAME, "operations", 1, UINT32_MAX,
					  &asked->operations);
	}
}

static int parse_one(struct bench_options *options, struct asked *asked, int option, char **argv)
{
	switch (option) {
	case OPTION_CONFIG:
		return argument_text(PROGRAM_NAME, "config", &options->config_path);
	case OPTION_JSON:
		return argument_text(PROGRAM_NAME, "json", &options->json_path);
	case OPTION_LOAD:
		options->loads = true;
		return -1;
	case OPTION_CLIENTS:
		return argument_number_32(PROGRAM_NAME, "clients", 1, BENCH_LANES_MAX,
					  &options->lanes);
	case OPTION_RATE:
		return argument_number(PROGRAM_NAME, "rate", 1, NS_PER_S, &options->rate);
	case OPTION_PACE:
		return parse_pace(options);
	case OPTION_SECONDS:
		return argument_seconds(PROGRAM_NAME, "seconds", 0.1, 86400, &options->run_ns);
	case OPTION_WARM:
		return argument_seconds(PROGRAM_NAME, "warm-up", 0, 3600, &options->warm_ns);
	case OPTION_SEED:
		return argument_number(PROGRAM_NAME, "seed", 0, UINT64_MAX, &options->seed);
	case OPTION_HELP:
		fputs(help, stdout);
		return 0;
	case '?':
	case ':':
		return argument_unknown(PROGRAM_NAME, option, argv);
	default:
		return parse_workload(asked, option);
	}
}

static int settle_workload(struct bench_options *options, const struct asked *asked)
{
	struct workload_config *workload = &options->workload;
	char message[WORKLOAD_MESSAGE_MAX];

	if (workload_parse(asked->workload, workload, message) != 0)
		return argument_refuse(PROGRAM_NAME, "%s", message);
	if (asked->distribution &&
	    workload_parse_distribution(asked->distribution, &workload->distribution, message) != 0)
		return argument_refuse(PROGRAM_NAME, "%s", message);
	if (asked->records)
		workload->records = asked->records;
	if (asked->key_bytes)
		workload->key_bytes = asked->key_bytes;
	if (asked->value_bytes)
		workload->value_bytes = asked->value_bytes;
	if (asked->operations)
		workload->operations = asked->operations;
	if (workload_check(workload, message) != 0)
		return argument_refuse(PROGRAM_NAME, "%s", message);
	return -1;
}

int bench_options_parse(struct bench_options *options, int argc, char **argv)
{
	struct asked asked = {.workload = "ycsb-t"};
	int option, status = -1;

	*options = (struct bench_options){.lanes = 16,
					  .pacing = PACER_POISSON,
					  .run_ns = 10 * NS_PER_S,
					  .warm_ns = NS_PER_S,
					  .seed = 1};
	while (status < 0 && (option = getopt_long(argc, argv, ":", longs, NULL)) != -1)
		status = parse_one(options, &asked, option, argv);
	if (status >= 0)
		return status;
	if (optind < argc)
		return argument_refuse(PROGRAM_NAME, "'%s' is not an option; --help tells them",
				       argv[optind]);
	if (!options->config_path)
		return argument_refuse(PROGRAM_NAME,
				       "--config is missing; --help tells what it is");
	if (!options->rate)
		options->pacing = PACER_CLOSED;
	return settle_workload(options, &asked);
}
