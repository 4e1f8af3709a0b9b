/* SPDX-License-Identifier: MIT */
/* Options and sockets: see load.h. */
#include "load.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES (32 << 20)

static const char usage[] =
	"usage: demi-bench-relay-load --server IP:PORT --peer IP:PORT [OPTION]...\n"
	"  --client-net IP       the first client's address (10.80.1.0); all of them must be local\n"
	"  --sessions N          clients (1)\n"
	"  --method HOW          channels, indications, direct (past the server), echo (the server sends\n"
	"                        back what it gets), none (channels)\n"
	"  --bytes N             of a payload (100)\n"
	"  --window N            under way at once (64); with 0 --rate counts\n"
	"  --rate N              sent a second\n"
	"  --warm S, --seconds S before it is measured (0.2), and measured (1)\n"
	"  --packets N           end when so many were relayed\n"
	"  --peer6 IP:PORT       every other relayed address is IPv6, and has this peer\n"
	"  --pid PID             the server's: tell its time on a processor\n"
	"  --hold                wait for a byte on standard input before the traffic\n";

static struct net_address address_of(const char *text)
{
	struct net_address address;
	const char *wrong = net_address_parse(&address, text);

	if (wrong)
		errx(2, "%s: %s", text, wrong);
	return address;
}

static struct sockaddr_in sockaddr_of(const struct net_address *address)
{
	struct sockaddr_storage storage;
	struct sockaddr_in four;

	if (address->family != NET_V4)
		errx(2, "the server and the peer have addresses of IPv4");
	net_address_to(address, &storage);
	memcpy(&four, &storage, sizeof(four));
	return four;
}

static enum load_method method_of(const char *name)
{
	static const char *const names[] = {"channels", "indications", "direct", "echo", "none"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(name, names[i]) == 0)
			return (enum load_method)i;
	}
	errx(2, "--method %s: allowed are channels, indications, direct, echo and none", name);
}

static double number_of(const char *name, const char *text, double least, double most)
{
	char *end;
	double number = strtod(text, &end);

	if (*end || end == text || !(number >= least && number <= most))
		errx(2, "--%s %s: a number from %.0f to %.0f", name, text, least, most);
	return number;
}

static void parse(struct load_options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"server", required_argument, NULL, 's'},
		{"peer", required_argument, NULL, 'p'},
		{"client-net", required_argument, NULL, 'c'},
		{"sessions", required_argument, NULL, 'n'},
		{"method", required_argument, NULL, 'm'},
		{"bytes", required_argument, NULL, 'b'},
		{"window", required_argument, NULL, 'w'},
		{"rate", required_argument, NULL, 'r'},
		{"warm", required_argument, NULL, 'W'},
		{"seconds", required_argument, NULL, 't'},
		{"packets", required_argument, NULL, 'N'},
		{"peer6", required_argument, NULL, '6'},
		{"pid", required_argument, NULL, 'P'},
		{"hold", no_argument, NULL, 'h'},
		{"help", no_argument, NULL, '?'},
		{NULL, 0, NULL, 0},
	};
	struct net_address address;
	int option, at;

	while ((option = getopt_long(argc, argv, "", known, &at)) != -1) {
		const char *name = option == '?' ? "" : known[at].name;

		switch (option) {
		case 's':
			address = address_of(optarg);
			options->server = sockaddr_of(&address);
			break;
		case 'p':
			options->peers[0] = address_of(optarg);
			break;
		case '6':
			options->peers[1] = address_of(optarg);
			options->both_families = true;
			break;
		case 'c':
			options->client_net = ntohl(inet_addr(optarg));
			break;
		case 'n':
			options->sessions = (uint32_t)number_of(name, optarg, 1, LOAD_SESSIONS_MAX);
			break;
		case 'm':
			options->method = method_of(optarg);
			break;
		case 'b':
			options->bytes = (uint32_t)number_of(name, optarg, LOAD_BYTES_MIN,
							     LOAD_BYTES_MAX);
			break;
		case 'w':
			options->window = (uint32_t)number_of(name, optarg, 0, 1e6);
			break;
		case 'r':
			options->rate = number_of(name, optarg, 1, 1e8);
			break;
		case 'W':
			options->warm_s = number_of(name, optarg, 0, 3600);
			break;
		case 't':
			options->seconds = number_of(name, optarg, 0, 3600);
			break;
		case 'N':
			options->packets = (uint64_t)number_of(name, optarg, 1, 1e15);
			break;
		case 'P':
			options->server_pid = (int)number_of(name, optarg, 1, 1 << 22);
			break;
		case 'h':
			options->hold = true;
			break;
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
	if (optind != argc || !options->server.sin_port || !options->peers[0].port ||
	    (!options->window && options->rate == 0))
		errx(2, "--server and --peer are needed, and --window or --rate\n%s", usage);
}

/* A socket that loses nothing for want of room. */
static int open_socket(const struct sockaddr_in *address)
{
	const int bytes = BUFFER_BYTES, on = 1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
		err(1, "port %d", ntohs(address->sin_port));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) != 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) != 0)
		err(1, "options of a socket");
	return fd;
}

static void wait_for_word(void)
{
	char byte;

	puts("ready");
	fflush(stdout);
	if (read(STDIN_FILENO, &byte, 1) < 0)
		err(1, "standard input");
}

int main(int argc, char **argv)
{
	static struct load load = {
		.options = {.client_net = 0x0a500100,
			    .client_port = 40000,
			    .sessions = 1,
			    .bytes = 100,
			    .window = 64,
			    .warm_s = 0.2,
			    .seconds = 1},
	};
	struct sockaddr_in address = {.sin_family = AF_INET};

	parse(&load.options, argc, argv);
	address.sin_port = htons(load.options.client_port);
	load.clients = open_socket(&address);
	address = sockaddr_of(&load.options.peers[0]);
	load.peer = open_socket(&address);
	load.sessions = calloc(load.options.sessions, sizeof(*load.sessions));
	if (!load.sessions)
		errx(1, "out of memory");
	if (load.options.method != LOAD_DIRECT && load.options.method != LOAD_ECHO)
		sessions_make(&load);
	if (load.options.hold)
		wait_for_word();
	if (load.options.method != LOAD_NONE)
		traffic_run(&load);
	free(load.sessions);
	return 0;
}
