/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the native Redis's sockets (apps/redis/endpoint.h) share: a listener on Catnap, and plain
 * sockets of the kernel's as peers in the same thread.
 */
#ifndef DEMI_TESTS_REDIS_ENDPOINT_TESTING_H
#define DEMI_TESTS_REDIS_ENDPOINT_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "endpoint_table.h"

#define SECOND_NS INT64_C(1000000000)
#define SHORT_NS INT64_C(20000000)
#define VALUE_BYTES (64u << 10)

static int listener = -1;
static struct sockaddr_in address;
/* What one descriptor is ready for, within @timeout_ns. */
static inline struct endpoint_ready wait_for(int fd, bool readable, bool writable,
					     int64_t timeout_ns)
{
	struct endpoint_ready ready[8];
	int64_t waited = 0;

	assert_true(endpoint_want(fd, readable, writable));
	while (waited < timeout_ns) {
		size_t count = endpoint_wait(ready, 8, SHORT_NS, -1);

		for (size_t i = 0; i < count; i++) {
			if (ready[i].fd != fd)
				continue;
			endpoint_want(fd, false, false);
			return ready[i];
		}
		waited += SHORT_NS;
	}
	endpoint_want(fd, false, false);
	return (struct endpoint_ready){.fd = -1};
}

static inline int peer_connect(void)
{
	int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(peer >= 0);
	assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
	return peer;
}

static inline int accept_one(void)
{
	int fd;

	assert_true(wait_for(listener, true, false, 5 * SECOND_NS).readable);
	fd = endpoint_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	return fd;
}

struct pair {
	int fd, peer;
	struct endpoint *endpoint;
};

static inline struct pair make_pair(void)
{
	struct pair pair = {.peer = peer_connect()};

	pair.fd = accept_one();
	pair.endpoint = endpoint_of(pair.fd);
	assert_non_null(pair.endpoint);
	return pair;
}

/* What is closing gets the time that it needs. */
static inline void all_close(void)
{
	for (int i = 0; i < 5000 && endpoint_closing_count != 0; i++) {
		endpoint_look();
		usleep(1000);
	}
	assert_int_equal(endpoint_closing_count, 0);
}

static inline void close_pair(const struct pair *pair)
{
	if (pair->fd >= 0)
		assert_int_equal(endpoint_close(pair->fd), 0);
	if (pair->peer >= 0)
		close(pair->peer);
	all_close();
}

static inline void peer_sends(const struct pair *pair, const char *text)
{
	assert_int_equal(send(pair->peer, text, strlen(text), 0), strlen(text));
}

/* Until so much has arrived. */
static inline void arrive(const struct pair *pair, size_t bytes)
{
	for (int i = 0; i < 1000 && endpoint_input_bytes(pair->endpoint) < bytes; i++)
		wait_for(pair->fd, false, false, SHORT_NS);
	assert_int_equal(endpoint_input_bytes(pair->endpoint), bytes);
}

/* What has arrived, put together. */
static inline const char *arrived(const struct pair *pair)
{
	static char text[256];
	struct endpoint_piece pieces[16];
	size_t count = endpoint_pieces(pair->endpoint, pieces, 16), bytes = 0;

	for (size_t i = 0; i < count; i++) {
		assert_true(bytes + pieces[i].bytes < sizeof(text));
		memcpy(text + bytes, pieces[i].from, pieces[i].bytes);
		bytes += pieces[i].bytes;
	}
	text[bytes] = '\0';
	return text;
}

static inline void peer_reads(const struct pair *pair, size_t bytes)
{
	static char buffer[VALUE_BYTES];

	while (bytes != 0) {
		ssize_t got = recv(pair->peer, buffer,
				   bytes < sizeof(buffer) ? bytes : sizeof(buffer), MSG_DONTWAIT);

		if (got > 0)
			bytes -= (size_t)got;
		else
			endpoint_look();
		assert_true(got > 0 || (got < 0 && errno == EAGAIN));
	}
}

static inline void reset(struct pair *pair)
{
	const struct linger now = {.l_onoff = 1};

	setsockopt(pair->peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(pair->peer);
	pair->peer = -1;
}

static inline int listener_setup(void **state)
{
	socklen_t size = sizeof(address);

	(void)state;
	listener = endpoint_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	address = (struct sockaddr_in){.sin_family = AF_INET};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return listener < 0 ||
	       endpoint_bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	       endpoint_listen(listener, 128) != 0 ||
	       endpoint_getsockname(listener, (struct sockaddr *)&address, &size) != 0;
}

static inline int listener_teardown(void **state)
{
	(void)state;
	return endpoint_close(listener);
}

#endif
