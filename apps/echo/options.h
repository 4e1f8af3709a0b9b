/* SPDX-License-Identifier: MIT */
/* The command line of both programs. */
#ifndef ECHO_OPTIONS_H
#define ECHO_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"

#define OPTIONS_TCP_SIZE_MAX (16U << 20) /* bytes */
#define OPTIONS_UDP_SIZE_MAX 65507U      /* bytes: what an IPv4 datagram carries */
#define OPTIONS_LIST_BYTES 1024          /* room for what an option that is repeated collects */

enum role { ROLE_SERVER, ROLE_CLIENT };
enum protocol { PROTOCOL_TCP, PROTOCOL_UDP };
enum reply { REPLY_SAME, REPLY_SOCKPERF };

struct options {
	const char *program; /* set by main: the name in messages and results */
	bool has_libos;      /* set by main: this program knows --libos, and what is for libOSes */

	enum role role;
	enum protocol protocol;
	struct address address;
	char address_text[ADDRESS_TEXT_MAX]; /* resolved, numeric */
	uint32_t size;                       /* bytes in a message */
	uint64_t count;                      /* messages; 0: no limit */
	uint32_t inflight;                   /* messages on the way in each connection */
	uint32_t connections;
	uint32_t threads;          /* runtimes, each in a thread of its own */
	uint32_t first_connection; /* number of the first of this thread's connections */
	uint64_t duration_ns;      /* 0: no limit */
	enum reply reply;          /* what a server sends back */
	const char *log;           /* file or log that each message is appended to; NULL: none */
	const char *json;          /* file for the results, "-": standard output; NULL: none */
	/* For the library; NULL and "": as the environment says. */
	const char *libos;
	const char *dev;
	const char *mac;
	const char *blk;
	char ip[OPTIONS_LIST_BYTES]; /* commas between the elements */
	char gw[OPTIONS_LIST_BYTES];
	bool stats; /* print the library's statistics at the end */
	bool quiet;
};

/**
 * options_parse - read the command line
 * @options: program and has_libos are set, the rest is filled here
 *
 * Says on standard error what is wrong and what is allowed. Return: -1 to go on, otherwise the
 * status to exit with.
 */
int options_parse(struct options *options, int argc, char **argv);

#endif /* ECHO_OPTIONS_H */
