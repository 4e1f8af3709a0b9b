/* SPDX-License-Identifier: MIT */
/*
 * What the suite has to know of a libOS: which addresses it may use there and what the libOS
 * serves. The one place to add a libOS to; the tests ask the profile and nothing else.
 */
#ifndef DEMI_TESTS_PROFILE_H
#define DEMI_TESTS_PROFILE_H

#include <stdbool.h>

struct profile {
	const char *libos;        /* value of LIBOS */
	const char *ipv4;         /* of ours; both ends of a connection use it; NULL: no IPv4 */
	const char *ipv4_foreign; /* well-formed, unicast, and not ours */
	const char *ipv6;         /* NULL: no IPv6 */
	const char *ipv6_foreign; /* as ipv4_foreign */
	const char *ipv4_silent;  /* on our link, where nobody answers; NULL: there is none */
	const char *ipv6_silent;
	bool tcp;
	bool udp;
	bool unix_stream; /* AF_UNIX, SOCK_STREAM */
	bool files;       /* demi_open and its family, on paths of the file system */
	bool logs;   /* demi_open and its family, on names of logs; the device is a file of ours */
	bool queues; /* in-memory queues */
	bool sends_on;    /* closed over, what was pushed is sent from a copy; or reset: too much */
	bool kernel_peer; /* plain sockets of this process reach ipv4 and ipv6, and are reached */
	bool wakes;       /* over a link in this process, demi_idle names what to sleep on */
	bool device_delivers; /* a stream's bytes reach the peer's memory whatever its program does */
	bool keeps_forks_out;  /* where this process has a runtime, its forks cannot start one */
	bool pins_heap;        /* the device knows the heap's pages, so that none goes back */
	bool shares_addresses; /* all runtimes have these addresses, and reach each other at them */
};

/**
 * profile_get - the profile of the libOS that LIBOS names; catnap when it is unset
 *
 * IPv6 is left out when the machine has none. Return: NULL for a libOS without a profile.
 */
const struct profile *profile_get(void);

#endif /* DEMI_TESTS_PROFILE_H */
