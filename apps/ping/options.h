/* SPDX-License-Identifier: MIT */
/* The command line of demi-ping. */
#ifndef PING_OPTIONS_H
#define PING_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_SIZE_MAX 65507u /* bytes: what an IPv4 packet carries behind both headers */

struct options {
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} address;
	socklen_t address_length;
	const char *address_text; /* as given, numeric */
	uint32_t count;           /* requests */
	uint32_t size;            /* bytes behind the header */
	uint64_t interval_ns;     /* from one request to the next */
	uint64_t timeout_ns;      /* that the last answer is waited for */
	bool quiet;               /* the summary alone */
};

/**
 * options_parse - read the command line, having said what is wrong and what is allowed
 *
 * Return: -1 to go on, otherwise the status to exit with.
 */
int options_parse(struct options *options, int argc, char **argv);

#endif /* PING_OPTIONS_H */
