/* SPDX-License-Identifier: MIT */
#include "server_options.h"

#include <getopt.h>
#include <stdio.h>

#include "echo/arguments.h"
#include "echo/process.h"

#define PROGRAM_NAME "demi-txnstore server"
#define MIB (UINT64_C(1) << 20)

static const char help[] =
	"usage: demi-txnstore server --config FILE --shard N --replica N [OPTION]...\n"
	"\n"
	"Be one replica of one shard of a store, until it is told to end (SIGINT, SIGTERM). LIBOS says\n"
	"over what: catnap, catnip, catmint, and with +cattree behind it where there is a log.\n"
	"\n"
	"  --config FILE      the YAML file that all servers and clients have: mode, shards\n"
	"  --shard N          which of its shards, from 0\n"
	"  --replica N        which of its replicas, from 0\n"
	"  --new              the store is new, and this replica empty, as all others are\n"
	"  --log NAME         keep it in the log of this name: nothing acknowledged is lost when all\n"
	"                     replicas end at once (without: when a majority of a shard does)\n"
	"  --log-mib N        room on its device that the log may take: writes are refused while there is\n"
	"                     some left (as much as there is, and it ends when there is no more)\n"
	"  --election-ms N    a primary that is not heard of for one to two of these is replaced (200)\n"
	"  --memory-mib N     of keys and values; more writes are refused (1024)\n"
	"  --clients-max N    clients of which is remembered what they did (100000)\n"
	"  --session-idle N   seconds without a word, after which a client may be forgotten (3600)\n"
	"  --log-keep N       operations kept for replicas that were away (10000)\n"
	"  --versions-keep N  a transaction may read as of so many operations ago (10000)\n"
	"  --help             this text\n"
	"\n"
	"A replica that has lost what it had, as it has no log or an empty one, gets it from the others.\n";

enum {
	OPTION_CONFIG = 1,
	OPTION_SHARD,
	OPTION_REPLICA,
	OPTION_NEW,
	OPTION_LOG,
	OPTION_LOG_ROOM,
	OPTION_ELECTION,
	OPTION_MEMORY,
	OPTION_CLIENTS,
	OPTION_SESSION,
	OPTION_LOG_KEEP,
	OPTION_VERSIONS,
	OPTION_HELP,
};

static const struct option longs[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"shard", required_argument, NULL, OPTION_SHARD},
	{"replica", required_argument, NULL, OPTION_REPLICA},
	{"new", no_argument, NULL, OPTION_NEW},
	{"log", required_argument, NULL, OPTION_LOG},
	{"log-mib", required_argument, NULL, OPTION_LOG_ROOM},
	{"election-ms", required_argument, NULL, OPTION_ELECTION},
	{"memory-mib", required_argument, NULL, OPTION_MEMORY},
	{"clients-max", required_argument, NULL, OPTION_CLIENTS},
	{"session-idle", required_argument, NULL, OPTION_SESSION},
	{"log-keep", required_argument, NULL, OPTION_LOG_KEEP},
	{"versions-keep", required_argument, NULL, OPTION_VERSIONS},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

static int parse_limit(struct server_options *options, int option)
{
	struct replica_config *limits = &options->limits;
	uint64_t number = 0;
	int status;

	switch (option) {
	case OPTION_ELECTION:
		status = argument_number(PROGRAM_NAME, "election-ms", 10, 60000, &number);
		limits->election_ns = number * NS_PER_MS;
		return status;
	case OPTION_MEMORY:
		status = argument_number(PROGRAM_NAME, "memory-mib", 1, UINT64_C(1) << 20, &number);
		limits->bytes_max = number * MIB;
		return status;
	case OPTION_LOG_ROOM:
		status = argument_number(PROGRAM_NAME, "log-mib", 8, UINT64_C(1) << 30, &number);
		limits->log_room = number * MIB;
		return status;
	case OPTION_CLIENTS:
		return argument_number_32(PROGRAM_NAME, "clients-max", 1, 10000000,
					  &limits->limits.clients_max);
	case OPTION_SESSION:
		status = argument_number(PROGRAM_NAME, "session-idle", 1, 31536000, &number);
		limits->limits.session_idle_ns = number * NS_PER_S;
		return status;
	case OPTION_LOG_KEEP:
		return argument_number_32(PROGRAM_NAME, "log-keep", 1000, 100000000,
					  &limits->log_keep);
	default:
		return argument_number_32(PROGRAM_NAME, "versions-keep", 1, 100000000,
					  &limits->versions_keep);
	}
}

static int parse_one(struct server_options *options, int option, char **argv)
{
	switch (option) {
	case OPTION_CONFIG:
		return argument_text(PROGRAM_NAME, "config", &options->config_path);
	case OPTION_SHARD:
		return argument_number(PROGRAM_NAME, "shard", 0, SHARDS_MAX - 1, &options->shard);
	case OPTION_REPLICA:
		return argument_number(PROGRAM_NAME, "replica", 0, REPLICAS_MAX - 1,
				       &options->replica);
	case OPTION_NEW:
		options->is_new = true;
		return -1;
	case OPTION_LOG:
		return argument_text(PROGRAM_NAME, "log", &options->log);
	case OPTION_HELP:
		fputs(help, stdout);
		return 0;
	case '?':
	case ':':
		return argument_unknown(PROGRAM_NAME, option, argv);
	default:
		return parse_limit(options, option);
	}
}

int server_options_parse(struct server_options *options, int argc, char **argv)
{
	int option, status = -1;

	*options = (struct server_options){
		.shard = UINT64_MAX,
		.replica = UINT64_MAX,
		.limits = {.election_ns = 200 * NS_PER_MS,
			   .bytes_max = 1024 * MIB,
			   .log_keep = 10000,
			   .versions_keep = 10000,
			   .limits = {.clients_max = 100000, .session_idle_ns = 3600 * NS_PER_S}},
	};
	while (status < 0 && (option = getopt_long(argc, argv, ":", longs, NULL)) != -1)
		status = parse_one(options, option, argv);
	if (status >= 0)
		return status;
	if (optind < argc)
		return argument_refuse(PROGRAM_NAME, "'%s' is not an option; --help tells them",
				       argv[optind]);
	if (!options->config_path || options->shard == UINT64_MAX || options->replica == UINT64_MAX)
		return argument_refuse(PROGRAM_NAME, "--config, --shard and --replica are needed; "
						     "--help tells what they are");
	return -1;
}
