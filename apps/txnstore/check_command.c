/* SPDX-License-Identifier: MIT */
#include "check_command.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cluster.h"
#include "echo/arguments.h"
#include "echo/process.h"
#include "net_client.h"
#include "txnstore/trial/program.h"

#define PROGRAM_NAME "demi-txnstore check"
#define TIMEOUT_NS (5 * NS_PER_S)
#define WAIT_NS (10 * NS_PER_MS)
#define SECONDS_DEFAULT 10
#define SECONDS_MAX 3600
#define CLIENTS_DEFAULT 8
/* What is still in doubt among the shards then is settled by them. */
#define FINISH_NS (2 * NS_PER_S)

static const char help[] =
	"usage: demi-txnstore check --config FILE [OPTION]...\n"
	"\n"
	"Many clients do transactions at the same time, while whoever calls this kills servers or cuts\n"
	"links; then what they saw is judged. Its keys are of this run alone, and stay in the store.\n"
	"\n"
	"  --config FILE               the store: its shards and replicas\n"
	"  --check bank|graph|register what to try: transfers, whose sum must stay; lists, whose\n"
	"                              dependencies must have no cycle; registers, each of which must\n"
	"                              be linearizable (graph)\n"
	"  --clients N                 at the same time, 1 to 16 (8)\n"
	"  --seconds N                 for how long (10)\n"
	"  --seed N                    of what they do (a random one)\n"
	"  --help                      this text\n"
	"\n"
	"The exit status is 0 when nothing is wrong, 1 when something is, or when nothing was committed.\n";

static const char *const kinds[] = {"bank", "graph", "register"};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

struct options {
	const char *config_path;
	enum program_kind kind;
	uint64_t clients, seconds, seed;
};

struct check {
	struct options options;
	struct cluster cluster;
	struct net_client net;
	struct program program;
	/* When program_due is to be called; UINT64_MAX: not. */
	uint64_t due_ns[PROGRAM_CLIENTS_MAX];
	uint64_t numbers[PROGRAM_CLIENTS_MAX];
};

/* ---- Options ---- */

static int parse_kind(struct options *options)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (strcmp(optarg, kinds[i]) != 0)
			continue;
		options->kind = (enum program_kind)i;
		return -1;
	}
	return argument_refuse(PROGRAM_NAME, "--check '%s'; allowed: bank, graph, register",
			       optarg);
}

static int parse_one(struct options *options, int option, char **argv)
{
	switch (option) {
	case 'f':
		options->config_path = optarg;
		return -1;
	case 'c':
		return parse_kind(options);
	case 'n':
		return argument_number(PROGRAM_NAME, "clients", 1, PROGRAM_CLIENTS_MAX,
				       &options->clients);
	case 's':
		return argument_number(PROGRAM_NAME, "seconds", 1, SECONDS_MAX, &options->seconds);
	case 'r':
		return argument_number(PROGRAM_NAME, "seed", 0, UINT64_MAX, &options->seed);
	case 'h':
		fputs(help, stdout);
		return 0;
	default:
		return argument_unknown(PROGRAM_NAME, option, argv);
	}
}

/* Return: -1 to go on, or an exit status. */
static int parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'f'},
		{"check", required_argument, NULL, 'c'},
		{"clients", required_argument, NULL, 'n'},
		{"seconds", required_argument, NULL, 's'},
		{"seed", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option, status = -1;

	*options = (struct options){
		.kind = PROGRAM_GRAPH, .clients = CLIENTS_DEFAULT, .seconds = SECONDS_DEFAULT};
	if (getrandom(&options->seed, sizeof(options->seed), 0) != sizeof(options->seed))
		options->seed = process_now_ns();
	while (status < 0 && (option = getopt_long(argc, argv, ":", longs, NULL)) != -1)
		status = parse_one(options, option, argv);
	if (status >= 0)
		return status;
	if (optind < argc)
		return argument_refuse(PROGRAM_NAME, "'%s' is not an option; --help tells them",
				       argv[optind]);
	if (!options->config_path)
		return argument_refuse(PROGRAM_NAME, "--config is missing; --help tells more");
	return -1;
}

/* ---- The stage ---- */

/* When the last results had come. A transaction begins later, which makes no order that there was not. */
static uint64_t stage_now(void *context)
{
	return ((struct check *)context)->net.links.now_ns;
}

static uint64_t stage_clock(void *context, uint32_t client)
{
	(void)client;
	return stage_now(context);
}

static struct txn_client *stage_client(void *context, uint32_t client)
{
	(void)client;
	return &((struct check *)context)->net.txns;
}

static void stage_changed(void *context, uint32_t client)
{
	(void)context;
	(void)client;
}

static void stage_later(void *context, uint32_t client, uint64_t ns, uint64_t number)
{
	struct check *check = context;

	check->due_ns[client] = stage_now(context) + ns;
	check->numbers[client] = number;
}

/* ---- The run ---- */

static uint64_t begin_due(struct check *check)
{
	uint64_t now_ns = stage_now(check), wait_ns = WAIT_NS;

	for (uint32_t i = 0; i < check->options.clients; i++) {
		uint64_t due_ns = check->due_ns[i];

		if (due_ns > now_ns) {
			if (due_ns - now_ns < wait_ns)
				wait_ns = due_ns - now_ns;
			continue;
		}
		check->due_ns[i] = UINT64_MAX;
		program_due(&check->program, i, check->numbers[i]);
	}
	return wait_ns;
}

static int play(struct check *check)
{
	struct program *program = &check->program;
	int error = 0;

	program_begin(program);
	while (!error && !program->failed &&
	       (stage_now(check) < program->until_ns || program_is_busy(program))) {
		error = net_client_poll(&check->net, begin_due(check));
		if (error == EINTR)
			error = 0;
		if (process_stop_requests())
			error = EINTR;
	}
	program_end(program);
	net_client_finish(&check->net, FINISH_NS);
	return error ? error : program->failed ? ENOMEM : 0;
}

static int judge(const struct check *check)
{
	const struct program *program = &check->program;
	char why[2048];
	size_t judged = 0;
	int outcome = program_judge(program, why, sizeof(why), &judged);

	printf("%s, seed %" PRIu64 ": %" PRIu64 " committed, %" PRIu64 " aborted, %" PRIu64
	       " unknown; %zu judged\n",
	       kinds[program->kind], check->options.seed, program->committed, program->aborted,
	       program->unknown, judged);
	if (outcome < 0)
		fprintf(stderr, PROGRAM_NAME ": %s\n", strerror(-outcome));
	else if (outcome)
		printf("wrong: %s\n", why);
	else if (!program->committed)
		fprintf(stderr, PROGRAM_NAME ": nothing was committed\n");
	else
		puts("nothing is wrong");
	return outcome || !program->committed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(struct check *check)
{
	const struct stage stage = {
		.now = stage_now,
		.clock = stage_clock,
		.client = stage_client,
		.changed = stage_changed,
		.later = stage_later,
		.context = check,
		.clients = (uint32_t)check->options.clients,
	};
	char prefix[PROGRAM_PREFIX_BYTES];
	int error, status;

	for (uint32_t i = 0; i < PROGRAM_CLIENTS_MAX; i++)
		check->due_ns[i] = UINT64_MAX;
	snprintf(prefix, sizeof(prefix), "%016" PRIx64 "-", check->net.txns.config.id);
	program_init(&check->program, check->options.kind, &stage, prefix,
		     stage_now(check) + check->options.seconds * NS_PER_S, check->options.seed);
	error = play(check);
	if (error)
		fprintf(stderr, PROGRAM_NAME ": %s\n", net_client_why(error));
	status = error ? EXIT_FAILURE : judge(check);
	program_destroy(&check->program);
	return status;
}

int check_command(int argc, char **argv)
{
	static struct check check;
	char text[CLUSTER_ERROR_BYTES];
	int error, status = parse(&check.options, argc, argv);

	if (status >= 0)
		return status;
	if (cluster_load(&check.cluster, check.options.config_path, text) != 0) {
		fprintf(stderr, PROGRAM_NAME ": %s: %s\n", check.options.config_path, text);
		return EXIT_FAILURE;
	}
	process_prepare();
	error = demi_init(NULL);
	if (error) {
		fprintf(stderr, PROGRAM_NAME ": the library OS does not start: %s\n",
			strerror(error));
		return EXIT_FAILURE;
	}
	error = net_client_init(&check.net, &check.cluster, TIMEOUT_NS);
	if (error)
		fprintf(stderr, PROGRAM_NAME ": it does not start: %s\n", strerror(error));
	status = error ? EXIT_FAILURE : run(&check);
	if (!error)
		net_client_destroy(&check.net);
	demi_fini();
	return status;
}
