/* SPDX-License-Identifier: MIT */
/* What the tests of Catnip share, on top of the conformance suite's frame. */
#ifndef DEMI_TESTS_CATNIP_H
#define DEMI_TESTS_CATNIP_H

#include "common.h"

#include <pthread.h>
#include <stdatomic.h>

/* The addresses of the environment that meson.build gives to the tests. */
#define OUR_IPV4 "10.0.0.1"
#define OUR_SECOND_IPV4 "10.0.0.5"
#define OUR_IPV6 "fd00::1"
/** On our link, where nobody is. */
#define SILENT_IPV4 "10.0.0.99"

/** The other host of link_start. */
#define THEIR_IPV4 "10.0.0.2"
#define THEIR_IPV6 "fd00::2"

/** More than net.copy_max: it is sent from where it lies. */
#define LARGE_BYTES 1400u

/** address_of - an address of either version and a port in the host's byte order */
struct address address_of(const char *text, uint16_t port);

/** datagram_bound - a UDP socket bound to @text and a free port; @address receives where */
int datagram_bound(const char *text, struct address *address);

/** datagram_push - start a push of the pattern to @to, and free the array */
demi_qtoken_t datagram_push(int qd, const struct address *to, size_t size, unsigned int seed);

/** datagram_send - the same, and it completes */
void datagram_send(int qd, const struct address *to, size_t size, unsigned int seed);

/** datagram_expect - pop one, which is the pattern and comes from @from, unless that is NULL */
void datagram_expect(int qd, size_t size, unsigned int seed, const struct address *from);

/** The other host on a link inside the process: a runtime in a thread of its own. */
struct link_peer {
	pthread_t thread;
	pthread_barrier_t started;
	atomic_bool stops;
};

/**
 * link_start - a setup: let @peer_main, a thread, start its runtime as THEIR_, and then start ours
 *
 * It gets the struct link_peer, waits at the barrier once it can be reached, and ends when stops is set.
 */
int link_start(void **state, void *(*peer_main)(void *peer));
int link_teardown(void **state);

#endif /* DEMI_TESTS_CATNIP_H */
