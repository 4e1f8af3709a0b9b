/* SPDX-License-Identifier: MIT */
#include "sim_command.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "echo/arguments.h"
#include "txnstore/sim/simulate.h"

#define PROGRAM_NAME "demi-txnstore sim"
#define SEEDS_DEFAULT 100
/* Of those that fail so many are told in full. */
#define TOLD_MAX 10

static const char help[] =
	"usage: demi-txnstore sim [OPTION]...\n"
	"\n"
	"Run the store and its clients in simulated time, each seed with faults of its own: messages\n"
	"lost, late and doubled, partitions, crashes with torn logs, clocks that jump, clients that die.\n"
	"What the clients saw is judged, and at the end, when all is healed, whether nothing is in doubt\n"
	"and all replicas are alike. A seed does the same every time.\n"
	"\n"
	"  --mode serializable|quorum  what the store is to be (serializable; quorum promises nothing,\n"
	"                              and is here so that the checks can be seen to fail)\n"
	"  --check bank|graph|register what to try: transfers, whose sum must stay; lists, whose\n"
	"                              dependencies must have no cycle; registers, each of which must\n"
	"                              be linearizable (all three)\n"
	"  --seeds N                   how many seeds (100)\n"
	"  --from SEED                 the first of them (1)\n"
	"  --help                      this text\n"
	"\n"
	"The exit status is 1 if a seed failed, and it is told which.\n";

static const char *const check_names[] = {"bank", "graph", "register"};
#define CHECKS (sizeof(check_names) / sizeof(*check_names))

struct sim_options {
	uint64_t seeds, from;
	bool is_weak;
	bool checks[CHECKS];
};

static int parse_mode(struct sim_options *options)
{
	options->is_weak = !strcmp(optarg, "quorum");
	if (!options->is_weak && strcmp(optarg, "serializable") != 0)
		return argument_refuse(PROGRAM_NAME, "--mode '%s'; allowed: serializable, quorum",
				       optarg);
	return -1;
}

static int parse_check(struct sim_options *options)
{
	for (size_t i = 0; i < CHECKS; i++) {
		if (strcmp(optarg, check_names[i]) != 0)
			continue;
		options->checks[i] = true;
		return -1;
	}
	return argument_refuse(PROGRAM_NAME, "--check '%s'; allowed: bank, graph, register",
			       optarg);
}

static int parse_one(struct sim_options *options, int option, char **argv)
{
	switch (option) {
	case 'm':
		return parse_mode(options);
	case 'c':
		return parse_check(options);
	case 'n':
		return argument_number(PROGRAM_NAME, "seeds", 1, UINT32_MAX, &options->seeds);
	case 'f':
		return argument_number(PROGRAM_NAME, "from", 0, UINT64_MAX / 2, &options->from);
	case 'h':
		fputs(help, stdout);
		return 0;
	default:
		return argument_unknown(PROGRAM_NAME, option, argv);
	}
}

static int parse(struct sim_options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{"mode", required_argument, NULL, 'm'},  {"check", required_argument, NULL, 'c'},
		{"seeds", required_argument, NULL, 'n'}, {"from", required_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
	};
	bool any = false;
	int option, status = -1;

	*options = (struct sim_options){.seeds = SEEDS_DEFAULT, .from = 1};
	while (status < 0 && (option = getopt_long(argc, argv, ":", longs, NULL)) != -1)
		status = parse_one(options, option, argv);
	if (status >= 0)
		return status;
	if (optind < argc)
		return argument_refuse(PROGRAM_NAME, "'%s' is not an option; --help tells them",
				       argv[optind]);
	for (size_t i = 0; i < CHECKS; i++)
		any |= options->checks[i];
	for (size_t i = 0; i < CHECKS && !any; i++)
		options->checks[i] = true;
	return -1;
}

static void add(struct verdict *sum, const struct verdict *verdict)
{
	sum->committed += verdict->committed;
	sum->aborted += verdict->aborted;
	sum->unknown += verdict->unknown;
	sum->judged += verdict->judged;
	sum->crashes += verdict->crashes;
	sum->partitions += verdict->partitions;
	sum->views += verdict->views;
	sum->transfers += verdict->transfers;
	sum->snapshots += verdict->snapshots;
	sum->rewrites += verdict->rewrites;
	sum->resolved += verdict->resolved;
}

static void tell_failure(const struct sim_options *options, const char *check, uint64_t seed,
			 const struct verdict *verdict)
{
	if (verdict->outcome == 1)
		printf("seed %" PRIu64 ", %s: %s\n", seed, check, verdict->why);
	else
		printf("seed %" PRIu64 ", %s: not tried: %s\n", seed, check,
		       verdict->why[0] ? verdict->why : strerror(-verdict->outcome));
	printf("  again: demi-txnstore sim --mode %s --check %s --from %" PRIu64 " --seeds 1\n",
	       options->is_weak ? "quorum" : "serializable", check, seed);
}

static uint64_t run_check(const struct sim_options *options, size_t check)
{
	struct verdict sum = {.outcome = 0}, verdict;
	uint64_t failed = 0;

	for (uint64_t i = 0; i < options->seeds; i++) {
		struct simulation simulation = {.check = (enum program_kind)check,
						.seed = options->from + i,
						.is_weak = options->is_weak};

		simulate(&simulation, &verdict);
		add(&sum, &verdict);
		if (!verdict.outcome)
			continue;
		if (++failed <= TOLD_MAX)
			tell_failure(options, check_names[check], simulation.seed, &verdict);
	}
	printf("%-8s  %" PRIu64 " seeds, %" PRIu64 " failed; transactions: %" PRIu64
	       " committed, %" PRIu64 " aborted, %" PRIu64 " unknown; judged: %" PRIu64 " reads\n"
	       "          %" PRIu64 " crashes, %" PRIu64 " partitions, %" PRIu64
	       " view changes, %" PRIu64 " transfers of logs, %" PRIu64 " of snapshots, %" PRIu64
	       " transactions left in doubt\n",
	       check_names[check], options->seeds, failed, sum.committed, sum.aborted, sum.unknown,
	       sum.judged, sum.crashes, sum.partitions, sum.views, sum.transfers, sum.snapshots,
	       sum.resolved);
	return failed;
}

int sim_command(int argc, char **argv)
{
	struct sim_options options;
	uint64_t failed = 0;
	int status = parse(&options, argc, argv);

	if (status >= 0)
		return status;
	for (size_t i = 0; i < CHECKS; i++)
		if (options.checks[i])
			failed += run_check(&options, i);
	return failed ? 1 : 0;
}
