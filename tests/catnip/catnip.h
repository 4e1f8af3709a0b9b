/* SPDX-License-Identifier: MIT */
/* What the tests of Catnip share, on top of the conformance suite's frame. */
#ifndef DEMI_TESTS_CATNIP_H
#define DEMI_TESTS_CATNIP_H

#include "common.h"

/* The addresses of the environment that meson.build gives to the tests. */
#define OUR_IPV4 "10.0.0.1"
#define OUR_IPV6 "fd00::1"
/** On our link, where nobody is. */
#define SILENT_IPV4 "10.0.0.99"

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

#endif /* DEMI_TESTS_CATNIP_H */
