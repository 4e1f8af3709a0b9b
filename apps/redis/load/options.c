/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "echo/arguments.h"

#ifndef REDIS_LOAD_VERSION
#define REDIS_LOAD_VERSION "unknown"
#endif

#define PORT_DEFAULT "6379"
#define CONNECTIONS_DEFAULT 50
#define SIZE_DEFAULT 64
#define COPY_MAX_DEFAULT 1024
#define KEYS_DEFAULT 100000
#define REQUESTS_DEFAULT 100000
#define CONNECTIONS_MAX 10000
#define PIPELINE_MAX 4096
#define KEYS_MAX 100000000
#define RATIO_MAX 1000000
#define REQUESTS_MAX UINT64_C(1000000000000)
#define RATE_MAX 100000000
#define SECONDS_MAX 86400.0
#define DURATION_MIN_S 0.1
/* Over all connections: what a run may keep in mind, and may have pushed and not sent. */
#define UNDER_WAY_MAX (UINT64_C(1) << 20)

enum option_letter {
	OPTION_ADDR = 'a',
	OPTION_CONNECTIONS = 'c',
	OPTION_PIPELINE = 'P',
	OPTION_COMMAND = 't',
	OPTION_RATIO = 'x',
	OPTION_SIZE = 's',
	OPTION_COPY_MAX = 'C',
	OPTION_KEYS = 'k',
	OPTION_PREFIX = 'X',
	OPTION_SEED = 'e',
	OPTION_REQUESTS = 'n',
	OPTION_DURATION = 'd',
	OPTION_WARMUP = 'w',
	OPTION_RATE = 'R',
	OPTION_USER = 'u',
	OPTION_PASSWORD = 'p',
	OPTION_PREFILL = 'f',
	OPTION_VERIFY = 'v',
	OPTION_ALLOW_NIL = 'N',
	OPTION_ALLOW_ERRORS = 'E',
	OPTION_JSON = 'j',
	OPTION_STATS = 'S',
	OPTION_QUIET = 'q',
	OPTION_HELP = 'h',
	OPTION_VERSION = 'V',
};

static const struct option long_options[] = {
	{"addr", required_argument, NULL, OPTION_ADDR},
	{"connections", required_argument, NULL, OPTION_CONNECTIONS},
	{"pipeline", required_argument, NULL, OPTION_PIPELINE},
	{"command", required_argument, NULL, OPTION_COMMAND},
	{"ratio", required_argument, NULL, OPTION_RATIO},
	{"size", required_argument, NULL, OPTION_SIZE},
	{"copy-max", required_argument, NULL, OPTION_COPY_MAX},
	{"keys", required_argument, NULL, OPTION_KEYS},
	{"prefix", required_argument, NULL, OPTION_PREFIX},
	{"seed", required_argument, NULL, OPTION_SEED},
	{"requests", required_argument, NULL, OPTION_REQUESTS},
	{"duration", required_argument, NULL, OPTION_DURATION},
	{"warmup", required_argument, NULL, OPTION_WARMUP},
	{"rate", required_argument, NULL, OPTION_RATE},
	{"user", required_argument, NULL, OPTION_USER},
	{"password", required_argument, NULL, OPTION_PASSWORD},
	{"prefill", no_argument, NULL, OPTION_PREFILL},
	{"verify", no_argument, NULL, OPTION_VERIFY},
	{"allow-nil", no_argument, NULL, OPTION_ALLOW_NIL},
	{"allow-errors", no_argument, NULL, OPTION_ALLOW_ERRORS},
	{"json", required_argument, NULL, OPTION_JSON},
	{"stats", no_argument, NULL, OPTION_STATS},
	{"quiet", no_argument, NULL, OPTION_QUIET},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

static const char *const command_names[] = {"get", "set", "mixed"};

const char *options_command_name(enum command command)
{
	return command_names[command];
}

static void print_help(const struct options *options)
{
	printf("usage: %s --addr HOST[:PORT] [--command get|set|mixed] [--size N] ...\n"
	       "\n"
	       "Asks a Redis server for values over Demi, on the library OS that LIBOS names, and prints\n"
	       "throughput and latency. demi.conf(5) tells how the library is configured.\n"
	       "\n"
	       "  --addr HOST[:PORT]   IPv4 address, [IPv6 address] or name; default port: " PORT_DEFAULT
	       "\n"
	       "  --connections N      default: %d\n"
	       "  --pipeline N         requests under way on each connection; default: 1\n"
	       "  --command KIND       get, set or mixed; default: get\n"
	       "  --ratio G:S          of a mixed run: G GETs for S SETs; default: 9:1\n"
	       "  --size N             bytes of a value; default: %d\n"
	       "  --copy-max N         a value of more bytes is sent by reference; default: %d\n"
	       "  --keys N             how many there are; default: %d\n"
	       "  --prefix TEXT        what each key begins with; default: key:\n"
	       "  --seed N             which keys are asked for, and in which order; default: 1\n"
	       "  --prefill            SET every key first\n"
	       "  --requests N         end after N; default: %d unless --duration\n"
	       "  --duration S         end after S seconds, at least 0.1\n"
	       "  --warmup S           seconds before either that are not measured; default: 0\n"
	       "  --rate N             requests a second; default: as many as are answered\n"
	       "  --verify             compare every byte of the values that come\n"
	       "  --allow-nil          count keys that are not there and go on\n"
	       "  --allow-errors       count replies that are errors and go on\n"
	       "  --user NAME, --password TEXT\n"
	       "                       the password's default is the environment's REDISCLI_AUTH\n"
	       "  --json FILE          results as JSON; - is standard output\n"
	       "  --stats              what the library has counted, at the end; on SIGUSR1 always\n"
	       "  --quiet              no progress lines\n"
	       "  --help, --version\n",
	       options->program, CONNECTIONS_DEFAULT, SIZE_DEFAULT, COPY_MAX_DEFAULT, KEYS_DEFAULT,
	       REQUESTS_DEFAULT);
}

static int parse_command(struct options *options)
{
	for (int i = COMMAND_GET; i <= COMMAND_MIXED; i++) {
		if (strcmp(optarg, command_names[i]) == 0) {
			options->command = (enum command)i;
			return -1;
		}
	}
	return argument_refuse(options->program, "--command '%s'; allowed: get, set, mixed",
			       optarg);
}

/* A number of the two, with its end; 0 where there is none that is allowed. */
static uint32_t parse_part(const char *text, char **end)
{
	unsigned long value = text[0] >= '0' && text[0] <= '9' ? strtoul(text, end, 10) : 0;

	return value <= RATIO_MAX ? (uint32_t)value : 0;
}

static int parse_ratio(struct options *options)
{
	char *end = optarg;

	options->ratio_gets = parse_part(optarg, &end);
	options->ratio_sets = *end == ':' ? parse_part(end + 1, &end) : 0;
	if (options->ratio_gets && options->ratio_sets && *end == '\0')
		return -1;
	return argument_refuse(options->program,
			       "--ratio '%s'; allowed: GETS:SETS, such as 9:1, each 1 to %d",
			       optarg, RATIO_MAX);
}

/* Whether a port stands behind the host; colons in brackets are an IPv6 address's. */
static bool has_port(const char *text)
{
	const char *bracket = strrchr(text, ']');

	return strchr(bracket ? bracket : text, ':') != NULL;
}

static int parse_address(struct options *options)
{
	char text[512];
	const char *wrong;
	int length = snprintf(text, sizeof(text), "%s%s", optarg,
			      has_port(optarg) ? "" : ":" PORT_DEFAULT);

	if (length >= (int)sizeof(text))
		return argument_refuse(options->program,
				       "--addr is too long; allowed: HOST[:PORT], [IPv6]:PORT");
	wrong = address_parse(&options->address, text);
	if (wrong)
		return argument_refuse(options->program, "--addr '%s': %s", optarg, wrong);
	if (address_port(&options->address) == 0)
		return argument_refuse(options->program, "--addr '%s': port 0; allowed: 1 to 65535",
				       optarg);
	address_format((const struct sockaddr *)&options->address.storage, options->address_text);
	return -1;
}

static int parse_prefix(struct options *options)
{
	options->prefix = optarg;
	if (strlen(optarg) > OPTIONS_PREFIX_MAX)
		return argument_refuse(options->program, "--prefix is too long; allowed: %d bytes",
				       OPTIONS_PREFIX_MAX);
	return -1;
}

static int set_flag(bool *flag)
{
	*flag = true;
	return -1;
}

/* Those with a value of their own kind. */
static int parse_value_option(struct options *options, int option)
{
	switch (option) {
	case OPTION_ADDR:
		return parse_address(options);
	case OPTION_CONNECTIONS:
		return argument_number_32(options->program, "connections", 1, CONNECTIONS_MAX,
					  &options->connections);
	case OPTION_PIPELINE:
		return argument_number_32(options->program, "pipeline", 1, PIPELINE_MAX,
					  &options->pipeline);
	case OPTION_COMMAND:
		return parse_command(options);
	case OPTION_RATIO:
		return parse_ratio(options);
	case OPTION_SIZE:
		return argument_number_32(options->program, "size", 1, OPTIONS_SIZE_MAX,
					  &options->size);
	case OPTION_COPY_MAX:
		return argument_number_32(options->program, "copy-max", 0, OPTIONS_SIZE_MAX,
					  &options->copy_max);
	case OPTION_KEYS:
		return argument_number(options->program, "keys", 1, KEYS_MAX, &options->keys);
	case OPTION_SEED:
		return argument_number(options->program, "seed", 0, UINT64_MAX, &options->seed);
	case OPTION_REQUESTS:
		return argument_number(options->program, "requests", 1, REQUESTS_MAX,
				       &options->requests);
	case OPTION_DURATION:
		return argument_seconds(options->program, "duration", DURATION_MIN_S, SECONDS_MAX,
					&options->duration_ns);
	case OPTION_WARMUP:
		return argument_seconds(options->program, "warmup", 0.0, SECONDS_MAX,
					&options->warmup_ns);
	default:
		return argument_number(options->program, "rate", 1, RATE_MAX, &options->rate);
	}
}

static int parse_option(struct options *options, int option)
{
	switch (option) {
	case OPTION_PREFIX:
		return parse_prefix(options);
	case OPTION_USER:
		return argument_text(options->program, "user", &options->user);
	case OPTION_PASSWORD:
		return argument_text(options->program, "password", &options->password);
	case OPTION_JSON:
		return argument_text(options->program, "json", &options->json);
	case OPTION_PREFILL:
		return set_flag(&options->prefill);
	case OPTION_VERIFY:
		return set_flag(&options->verify);
	case OPTION_ALLOW_NIL:
		return set_flag(&options->allow_nil);
	case OPTION_ALLOW_ERRORS:
		return set_flag(&options->allow_errors);
	case OPTION_STATS:
		return set_flag(&options->stats);
	case OPTION_QUIET:
		return set_flag(&options->quiet);
	case OPTION_HELP:
		print_help(options);
		return EXIT_SUCCESS;
	case OPTION_VERSION:
		printf("%s %s\n", options->program, REDIS_LOAD_VERSION);
		return EXIT_SUCCESS;
	default:
		return parse_value_option(options, option);
	}
}

static int check(struct options *options)
{
	const char *password = getenv("REDISCLI_AUTH");

	if (options->address.length == 0)
		return argument_refuse(options->program,
				       "--addr is missing; allowed: HOST[:PORT], [IPv6]:PORT");
	if (options->ratio_gets && options->command != COMMAND_MIXED)
		return argument_refuse(options->program, "--ratio is for --command mixed");
	if (!options->ratio_gets) {
		options->ratio_gets = 9;
		options->ratio_sets = 1;
	}
	if ((uint64_t)options->connections * options->pipeline > UNDER_WAY_MAX)
		return argument_refuse(
			options->program,
			"--connections %u with --pipeline %u are too many requests under way;"
			" allowed: %" PRIu64 " in all",
			options->connections, options->pipeline, UNDER_WAY_MAX);
	if (!options->password && password && password[0])
		options->password = password;
	if (options->user && !options->password)
		return argument_refuse(options->program,
				       "--user needs a --password, or REDISCLI_AUTH");
	if (!options->requests && !options->duration_ns)
		options->requests = REQUESTS_DEFAULT;
	return -1;
}

int options_parse(struct options *options, int argc, char **argv)
{
	int option;
	int status;

	options->connections = CONNECTIONS_DEFAULT;
	options->pipeline = 1;
	options->size = SIZE_DEFAULT;
	options->copy_max = COPY_MAX_DEFAULT;
	options->keys = KEYS_DEFAULT;
	options->prefix = "key:";
	options->seed = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return argument_unknown(options->program, option, argv);
		status = parse_option(options, option);
		if (status >= 0)
			return status;
	}
	if (optind < argc)
		return argument_refuse(options->program, "'%s' is one word too many; see --help",
				       argv[optind]);
	return check(options);
}
