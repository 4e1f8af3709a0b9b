/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
#define COUNT_MAX 1000000000.0
#define SECONDS_MAX 86400.0
#define NS_PER_S 1e9

static const char help[] =
	"usage: demi-ping [-c COUNT] [-i SECONDS] [-s BYTES] [-W SECONDS] [-q] ADDRESS\n"
	"\n"
	"Asks a host for echoes over Demi and verifies every byte of them. LIBOS, CONFIG_PATH and\n"
	"the DEMI_ variables choose the stack it asks from: demi.conf(5).\n"
	"\n"
	"  -c COUNT    requests; default: 4\n"
	"  -i SECONDS  from one to the next; default: 1; 0: the next when the answer is there\n"
	"  -s BYTES    of payload, 0 to 65507; default: 56\n"
	"  -W SECONDS  to wait for the last answer; default: 1\n"
	"  -q          the summary alone\n"
	"  --help, --version\n";

/* optarg as a number; false: it has been said what is allowed. */
static bool parse_number(char letter, double min, double max, bool is_whole, double *value)
{
	char *end;

	*value = strtod(optarg, &end);
	if (end != optarg && *end == '\0' && *value >= min && *value <= max &&
	    (!is_whole || *value == (double)(uint64_t)*value))
		return true;
	fprintf(stderr, "demi-ping: -%c '%s'; allowed: %s from %g to %g\n", letter, optarg,
		is_whole ? "whole numbers" : "seconds", min, max);
	return false;
}

static int parse_option(struct options *options, int option)
{
	double value = 0;
	bool good = true;

	switch (option) {
	case 'c':
		good = parse_number('c', 1, COUNT_MAX, true, &value);
		options->count = (uint32_t)value;
		break;
	case 's':
		good = parse_number('s', 0, OPTIONS_SIZE_MAX, true, &value);
		options->size = (uint32_t)value;
		break;
	case 'i':
		good = parse_number('i', 0, SECONDS_MAX, false, &value);
		options->interval_ns = (uint64_t)(value * NS_PER_S);
		break;
	case 'W':
		good = parse_number('W', 0, SECONDS_MAX, false, &value);
		options->timeout_ns = (uint64_t)(value * NS_PER_S);
		break;
	case 'q':
		options->quiet = true;
		break;
	case 'h':
		fputs(help, stdout);
		return EXIT_SUCCESS;
	case 'V':
		printf("demi-ping %s\n", PING_VERSION);
		return EXIT_SUCCESS;
	default:
		fputs("demi-ping: an option that is unknown or lacks its value; see --help\n",
		      stderr);
		return EXIT_USAGE;
	}
	return good ? -1 : EXIT_USAGE;
}

static bool parse_address(struct options *options, const char *text)
{
	options->address_text = text;
	if (inet_pton(AF_INET, text, &options->address.ipv4.sin_addr) == 1) {
		options->address.ipv4.sin_family = AF_INET;
		options->address_length = sizeof(options->address.ipv4);
	} else if (inet_pton(AF_INET6, text, &options->address.ipv6.sin6_addr) == 1) {
		options->address.ipv6.sin6_family = AF_INET6;
		options->address_length = sizeof(options->address.ipv6);
	} else {
		return false;
	}
	return true;
}

int options_parse(struct options *options, int argc, char **argv)
{
	static const struct option words[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int option;

	*options = (struct options){
		.count = 4,
		.size = 56,
		.interval_ns = (uint64_t)NS_PER_S,
		.timeout_ns = (uint64_t)NS_PER_S,
	};
	opterr = 0;
	while ((option = getopt_long(argc, argv, "c:i:s:W:q", words, NULL)) != -1) {
		int status = parse_option(options, option);

		if (status >= 0)
			return status;
	}
	if (optind + 1 == argc && parse_address(options, argv[optind]))
		return -1;
	fputs("demi-ping: needs one address, IPv4 or IPv6, as a number; see --help\n", stderr);
	return EXIT_USAGE;
}
