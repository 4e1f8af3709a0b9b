/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <getopt.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"

#ifndef ECHO_VERSION
#define ECHO_VERSION "unknown"
#endif

#define COUNT_MAX UINT64_C(1000000000000)
#define COUNT_DEFAULT 100000
#define INFLIGHT_MAX 4096
#define CONNECTIONS_MAX 10000
#define THREADS_MAX 256
#define DURATION_MAX_S 86400.0
#define DURATION_MIN_S 0.1
#define INFLIGHT_TOTAL_MAX (UINT64_C(1) << 20)       /* messages, over all connections */
#define INFLIGHT_TOTAL_BYTES_MAX (UINT64_C(1) << 30) /* bytes, over all connections */

enum option_letter {
	OPTION_PROTO = 'p',
	OPTION_ADDR = 'a',
	OPTION_SIZE = 's',
	OPTION_COUNT = 'n',
	OPTION_INFLIGHT = 'i',
	OPTION_CONNECTIONS = 'c',
	OPTION_DURATION = 'd',
	OPTION_LOG = 'l',
	OPTION_JSON = 'j',
	OPTION_LIBOS = 'L',
	OPTION_DEV = 'D',
	OPTION_IP = 'I',
	OPTION_GW = 'G',
	OPTION_MAC = 'M',
	OPTION_STATS = 'S',
	OPTION_THREADS = 't',
	OPTION_BLK = 'b',
	OPTION_REPLY = 'r',
	OPTION_QUIET = 'q',
	OPTION_HELP = 'h',
	OPTION_VERSION = 'V',
};

static const struct option long_options[] = {
	{"proto", required_argument, NULL, OPTION_PROTO},
	{"addr", required_argument, NULL, OPTION_ADDR},
	{"size", required_argument, NULL, OPTION_SIZE},
	{"count", required_argument, NULL, OPTION_COUNT},
	{"inflight", required_argument, NULL, OPTION_INFLIGHT},
	{"connections", required_argument, NULL, OPTION_CONNECTIONS},
	{"duration", required_argument, NULL, OPTION_DURATION},
	{"log", required_argument, NULL, OPTION_LOG},
	{"json", required_argument, NULL, OPTION_JSON},
	{"quiet", no_argument, NULL, OPTION_QUIET},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	/* From here on only where there is a libOS: see below. */
	{"libos", required_argument, NULL, OPTION_LIBOS},
	{"dev", required_argument, NULL, OPTION_DEV},
	{"ip", required_argument, NULL, OPTION_IP},
	{"gw", required_argument, NULL, OPTION_GW},
	{"mac", required_argument, NULL, OPTION_MAC},
	{"blk", required_argument, NULL, OPTION_BLK},
	{"reply", required_argument, NULL, OPTION_REPLY},
	{"stats", no_argument, NULL, OPTION_STATS},
	{"threads", required_argument, NULL, OPTION_THREADS},
	{NULL, 0, NULL, 0},
};

/* For a program without --libos the same list, ended where --libos stands. */
static void copy_long_options(struct option copy[], bool has_libos)
{
	struct option *libos = copy;

	memcpy(copy, long_options, sizeof(long_options));
	while (libos->val != OPTION_LIBOS)
		libos++;
	if (!has_libos)
		memset(libos, 0, sizeof(*libos));
}

static void print_libos_help(void)
{
	printf("  --libos NAME       library OS to run on: catnap, catnip, catmint, or one of them with\n"
	       "                     +cattree, which has logs; default: catnip with one of the\n"
	       "                     next, else the environment's LIBOS, else the configuration's\n"
	       "  --dev KIND:NAME    catnip's device, such as tap:demi0 or afxdp:eth1\n"
	       "  --ip ADDRESS/BITS  an address on it, such as 10.0.0.2/24; may be repeated\n"
	       "  --gw ADDRESS       its gateway; may be repeated, once for each version of IP\n"
	       "  --mac ADDRESS      its Ethernet address, such as 02:00:00:00:00:01\n"
	       "  --blk KIND:NAME    cattree's block device, such as uring:/var/lib/demi.img\n"
	       "  --stats            what the library has counted, at the end; on SIGUSR1 always\n"
	       "  --threads N        so many threads, each with a runtime of its own; default: 1\n");
}

static void print_help(const struct options *options)
{
	printf("usage: %s server --addr HOST:PORT [--proto tcp|udp] [--log NAME] ...\n"
	       "       %s client --addr HOST:PORT [--proto tcp|udp] [--size N] ...\n"
	       "\n"
	       "The server sends every message back. The client sends messages, verifies every byte\n"
	       "of what comes back, and prints throughput and latency.\n"
	       "\n"
	       "Both\n"
	       "  --addr HOST:PORT   IPv4 address, [IPv6 address] or name; the server's port may\n"
	       "                     be 0, it says which one it got\n"
	       "  --proto tcp|udp    default: tcp\n"
	       "  --count N          end after N messages; client's default: %d unless --duration\n"
	       "  --duration S       end after S seconds, at least 0.1\n"
	       "  --quiet            no progress lines, no word about single connections\n",
	       options->program, options->program, COUNT_DEFAULT);
	if (options->has_libos)
		print_libos_help();
	printf("  --help, --version\n"
	       "\n"
	       "Server\n"
	       "  --log NAME         append each message to a file, or to a log on cattree, and answer\n"
	       "                     when that is durable\n");
	if (options->has_libos)
		printf("  --reply KIND       same: each message as it came; sockperf: as its client wants\n"
		       "                     it; default: same\n");
	printf("\n"
	       "Client\n"
	       "  --size N           bytes in a message: tcp 1 to %u, udp 1 to %u; default: 64\n"
	       "  --inflight N       messages on the way in each connection; default: 1\n"
	       "  --connections N    default: 1, or as many as there are threads\n"
	       "  --json FILE        results as JSON; - is standard output\n",
	       OPTIONS_TCP_SIZE_MAX, OPTIONS_UDP_SIZE_MAX);
}

static int parse_protocol(struct options *options)
{
	if (strcmp(optarg, "tcp") == 0)
		options->protocol = PROTOCOL_TCP;
	else if (strcmp(optarg, "udp") == 0)
		options->protocol = PROTOCOL_UDP;
	else
		return argument_refuse(options->program, "--proto '%s'; allowed: tcp, udp", optarg);
	return -1;
}

static int parse_reply(struct options *options)
{
	if (strcmp(optarg, "same") == 0)
		options->reply = REPLY_SAME;
	else if (strcmp(optarg, "sockperf") == 0)
		options->reply = REPLY_SOCKPERF;
	else
		return argument_refuse(options->program, "--reply '%s'; allowed: same, sockperf",
				       optarg);
	return -1;
}

static int parse_address(struct options *options)
{
	const char *wrong = address_parse(&options->address, optarg);

	if (wrong)
		return argument_refuse(options->program, "--addr '%s': %s", optarg, wrong);
	address_format((const struct sockaddr *)&options->address.storage, options->address_text);
	return -1;
}

/* One element more of a list. */
static int parse_element(const struct options *options, const char *name,
			 char list[OPTIONS_LIST_BYTES])
{
	size_t length = strlen(list);

	if (optarg[0] == '\0')
		return argument_refuse(options->program, "--%s is empty; it needs a value", name);
	if (strlen(optarg) + 1 >= OPTIONS_LIST_BYTES - length)
		return argument_refuse(options->program,
				       "--%s is too long; allowed: %d bytes in all", name,
				       OPTIONS_LIST_BYTES - 1);
	snprintf(list + length, OPTIONS_LIST_BYTES - length, "%s%s", length ? "," : "", optarg);
	return -1;
}

/* What the library is told. */
static int parse_libos_option(struct options *options, int option)
{
	switch (option) {
	case OPTION_LIBOS:
		return argument_text(options->program, "libos", &options->libos);
	case OPTION_DEV:
		return argument_text(options->program, "dev", &options->dev);
	case OPTION_IP:
		return parse_element(options, "ip", options->ip);
	case OPTION_GW:
		return parse_element(options, "gw", options->gw);
	case OPTION_BLK:
		return argument_text(options->program, "blk", &options->blk);
	default:
		return argument_text(options->program, "mac", &options->mac);
	}
}

static int parse_option(struct options *options, int option)
{
	switch (option) {
	case OPTION_PROTO:
		return parse_protocol(options);
	case OPTION_ADDR:
		return parse_address(options);
	case OPTION_SIZE:
		return argument_number_32(options->program, "size", 1, OPTIONS_TCP_SIZE_MAX,
					  &options->size);
	case OPTION_COUNT:
		return argument_number(options->program, "count", 1, COUNT_MAX, &options->count);
	case OPTION_INFLIGHT:
		return argument_number_32(options->program, "inflight", 1, INFLIGHT_MAX,
					  &options->inflight);
	case OPTION_CONNECTIONS:
		return argument_number_32(options->program, "connections", 1, CONNECTIONS_MAX,
					  &options->connections);
	case OPTION_DURATION:
		return argument_seconds(options->program, "duration", DURATION_MIN_S,
					DURATION_MAX_S, &options->duration_ns);
	case OPTION_LOG:
		return argument_text(options->program, "log", &options->log);
	case OPTION_JSON:
		return argument_text(options->program, "json", &options->json);
	case OPTION_LIBOS:
	case OPTION_DEV:
	case OPTION_IP:
	case OPTION_GW:
	case OPTION_MAC:
	case OPTION_BLK:
		return parse_libos_option(options, option);
	case OPTION_HELP:
		print_help(options);
		return EXIT_SUCCESS;
	case OPTION_VERSION:
		printf("%s %s\n", options->program, ECHO_VERSION);
		return EXIT_SUCCESS;
	case OPTION_REPLY:
		return parse_reply(options);
	case OPTION_THREADS:
		return argument_number_32(options->program, "threads", 1, THREADS_MAX,
					  &options->threads);
	case OPTION_STATS:
		options->stats = true;
		return -1;
	default:
		options->quiet = true;
		return -1;
	}
}

static int parse_role(struct options *options, int argc, char **argv)
{
	const char *word = optind < argc ? argv[optind] : NULL;

	if (!word)
		return argument_refuse(options->program,
				       "first say what to be: server or client; see --help");
	if (strcmp(word, "server") == 0)
		options->role = ROLE_SERVER;
	else if (strcmp(word, "client") == 0)
		options->role = ROLE_CLIENT;
	else
		return argument_refuse(options->program,
				       "'%s' is neither server nor client; see --help", word);
	if (optind + 1 < argc)
		return argument_refuse(options->program, "'%s' is one word too many; see --help",
				       argv[optind + 1]);
	return -1;
}

/* Zero and NULL still mean "not given" here. */
static int check_server(const struct options *options)
{
	const char *clients_own = NULL;

	if (options->size)
		clients_own = "--size";
	else if (options->inflight)
		clients_own = "--inflight";
	else if (options->connections)
		clients_own = "--connections";
	else if (options->json && !options->has_libos)
		clients_own = "--json";
	if (clients_own)
		return argument_refuse(options->program,
				       "%s is for the client; the server has --addr, --proto, "
				       "--count, --duration, --log and --quiet",
				       clients_own);
	if (options->threads > 1 && options->log)
		return argument_refuse(options->program,
				       "--log has one writer; leave out --threads %u, or --log",
				       options->threads);
	return -1;
}

/* A short datagram has room for few sequence numbers; two rounds of the window must fit. */
static int check_datagrams(const struct options *options)
{
	if (options->size > OPTIONS_UDP_SIZE_MAX)
		return argument_refuse(options->program,
				       "--size %u is too large for udp; allowed: 1 to %u",
				       options->size, OPTIONS_UDP_SIZE_MAX);
	if (options->size == 1 && options->inflight > 128)
		return argument_refuse(options->program,
				       "--inflight %u is too much for datagrams of 1 byte; "
				       "allowed: 1 to 128, or --size 2 and more",
				       options->inflight);
	return -1;
}

static int check_client(const struct options *options)
{
	uint64_t messages = (uint64_t)options->inflight * options->connections;

	if (options->threads > options->connections)
		return argument_refuse(
			options->program,
			"--threads %u needs a connection for each; give --connections "
			"%u or more",
			options->threads, options->threads);
	if (options->count && options->threads > options->count)
		return argument_refuse(
			options->program,
			"--threads %u needs a message for each; give --count %u or more",
			options->threads, options->threads);

	if (options->log)
		return argument_refuse(options->program,
				       "--log is for the server, which writes the file");
	if (options->blk)
		return argument_refuse(options->program, "--blk is for the server, and its --log");
	if (options->reply != REPLY_SAME)
		return argument_refuse(options->program,
				       "--reply is for the server, which sends the replies");
	if (address_port(&options->address) == 0)
		return argument_refuse(options->program,
				       "--addr %s: port 0 is for the server; the client needs "
				       "the server's port, 1 to 65535",
				       options->address_text);
	if (messages > INFLIGHT_TOTAL_MAX)
		return argument_refuse(options->program,
				       "--inflight x --connections is %" PRIu64
				       " messages; allowed: up to %" PRIu64,
				       messages, INFLIGHT_TOTAL_MAX);
	if (messages * options->size > INFLIGHT_TOTAL_BYTES_MAX)
		return argument_refuse(options->program,
				       "--size x --inflight x --connections is %" PRIu64
				       " bytes; allowed: up to %" PRIu64,
				       messages * options->size, INFLIGHT_TOTAL_BYTES_MAX);
	return options->protocol == PROTOCOL_UDP ? check_datagrams(options) : -1;
}

static void set_client_defaults(struct options *options)
{
	if (options->size == 0)
		options->size = 64;
	if (options->inflight == 0)
		options->inflight = 1;
	if (options->connections == 0)
		options->connections = options->threads;
	if (options->count == 0 && options->duration_ns == 0)
		options->count = COUNT_DEFAULT;
}

/* A device is Catnip's: who names one, or an address on it, means that libOS, and no other. */
static int choose_network(struct options *options)
{
	static const char catnip[] = "catnip";
	const char *named = options->dev     ? "--dev"
			    : options->ip[0] ? "--ip"
			    : options->gw[0] ? "--gw"
			    : options->mac   ? "--mac"
					     : NULL;
	const char *environment = getenv("LIBOS");

	if (!named)
		return -1;
	if (options->libos && strncmp(options->libos, catnip, strlen(catnip)) != 0)
		return argument_refuse(options->program,
				       "%s is for catnip; leave it out, or --libos %s", named,
				       options->libos);
	/* The logs that the environment asks for stay. */
	if (!options->libos && (!environment || strncmp(environment, catnip, strlen(catnip)) != 0))
		options->libos = environment && strstr(environment, "cattree") ? "catnip+cattree"
									       : catnip;
	return -1;
}

/* A block device is Cattree's: who names one means the network that he has, and logs. */
static void choose_storage(struct options *options)
{
	const char *libos = options->libos ? options->libos : getenv("LIBOS");

	if (!options->blk)
		return;
	if (libos && strcmp(libos, "catnip") == 0)
		options->libos = "catnip+cattree";
	else if (!libos || strcmp(libos, "catnap") == 0)
		options->libos = "catnap+cattree";
}

int options_parse(struct options *options, int argc, char **argv)
{
	struct option known[sizeof(long_options) / sizeof(long_options[0])];
	int option;
	int status;

	copy_long_options(known, options->has_libos);
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		if (option == '?' || option == ':')
			return argument_unknown(options->program, option, argv);
		status = parse_option(options, option);
		if (status >= 0)
			return status;
	}
	status = parse_role(options, argc, argv);
	if (status >= 0)
		return status;
	status = choose_network(options);
	if (status >= 0)
		return status;
	choose_storage(options);
	if (options->threads == 0)
		options->threads = 1;
	if (options->address.length == 0)
		return argument_refuse(options->program,
				       "--addr is missing; allowed: HOST:PORT, [IPv6]:PORT");
	if (options->role == ROLE_SERVER)
		return check_server(options);
	set_client_defaults(options);
	return check_client(options);
}
