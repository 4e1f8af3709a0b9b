/* SPDX-License-Identifier: MIT */
/* What the commands of net-probe share. Each ends the program when a call fails. */
#ifndef DEMI_TESTS_NET_PROBE_H
#define DEMI_TESTS_NET_PROBE_H

#include <demi/demi.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct probe_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t length;
};

/** probe_catch_signals - SIGTERM and SIGINT end the program, SIGUSR1 is counted */
void probe_catch_signals(void);

bool probe_stopped(void);

/** probe_called - whether SIGUSR1 has come */
bool probe_called(void);

/** probe_check - nothing, or a word about the call @what and the end; @error: positive errno or 0 */
void probe_check(int error, const char *what);

struct probe_address probe_parse(const char *host, const char *port);

/** probe_bound - a socket of @type, SOCK_STREAM or SOCK_DGRAM, at @local; its descriptor */
int probe_bound(const struct probe_address *local, int type);

/** probe_wait - the result of an operation, which may be a failure; false: we are to end */
bool probe_wait(demi_qtoken_t token, demi_qresult_t *result);

/** probe_now_ns - of a clock that only goes forward */
uint64_t probe_now_ns(void);

/* --- the stream of bytes that both ends know, lab.py:stream_blocks --- */

/** PROBE_PERIOD - bytes after which it comes again: a prime, so that no round size falls on it */
#define PROBE_PERIOD 65521u
#define PROBE_PIECE_MAX (15u * PROBE_PERIOD)

/** probe_stream - the bytes from @offset on, PROBE_PIECE_MAX of them, in Demi's heap; not for writing */
void *probe_stream(uint64_t offset);

/** probe_is_stream - whether an array is what stands at @offset of the stream */
bool probe_is_stream(const demi_sgarray_t *array, uint64_t offset);

/** probe_length - bytes of an array */
size_t probe_length(const demi_sgarray_t *array);

/* --- commands --- */

/**
 * probe_http - a server of HTTP/1.0, for any number of connections, until SIGTERM
 *
 * GET /N answers with N bytes of the stream. PUT /MS takes a body that has to be the stream, beginning
 * MS milliseconds later, and says how many bytes they were, or 409 and where they differ.
 */
void probe_http(const struct probe_address *local);

/**
 * probe_send - connect, push @bytes of the stream, shut down, pop until the end; what comes has to be
 * the stream, and it prints how many bytes it was
 */
void probe_send(const struct probe_address *peer, uint64_t bytes);

/**
 * probe_backlog - listen, and accept nobody before SIGUSR1; then greet and close each connection until
 * SIGTERM
 */
void probe_backlog(const struct probe_address *local, int backlog);

#endif /* DEMI_TESTS_NET_PROBE_H */
