/* SPDX-License-Identifier: MIT */
/*
 * Ends of TCP connections in a world: they push a pattern whose every byte follows from its place, in
 * pieces of random lengths, and check what they receive against the other end's.
 */
#ifndef DEMI_TESTS_SIM_STREAM_H
#define DEMI_TESTS_SIM_STREAM_H

#include "net/tcp/congestion.h"
#include "net/tcp/tcp.h"
#include "world.h"

#define STREAM_PUSHES_MAX 64u

/** How an end behaves. */
struct stream_plan {
	uint64_t bytes;          /* that it pushes before it shuts down */
	uint32_t push_bytes_max; /* in one push */
	uint32_t pushes_max;     /* under way; up to STREAM_PUSHES_MAX */
	uint32_t laziness;  /* takes what came in 1 of so many turns; 0: at once, as it comes */
	bool waits_for_end; /* shuts down when the peer has */
};

struct stream {
	struct station *station;
	struct tcp_conn *conn; /* NULL: not open, or closed */
	struct stream_plan plan;
	uint32_t seed; /* of the pattern that it sends */
	uint32_t peer_seed;
	uint64_t pushed, acknowledged, received;
	uint32_t pushes;                        /* under way */
	uint32_t push_bytes[STREAM_PUSHES_MAX]; /* of these, oldest first; by push_first */
	uint32_t push_first;
	uint64_t wrong; /* bytes */
	bool is_connected, has_ended, is_shut, is_closed, was_closed;
	int connect_error, end_error, close_error, push_error;
};

struct stream_listener {
	struct station *station;
	struct tcp_conn *conn;
	uint32_t acceptable; /* as it was told */
};

void stream_listen(struct stream_listener *listener, struct station *station, uint16_t port,
		   int backlog);

/** stream_listen_shared - with SO_REUSEPORT */
void stream_listen_shared(struct stream_listener *listener, struct station *station, uint16_t port,
			  int backlog);
void stream_unlisten(struct stream_listener *listener);

/** stream_open - a socket of both versions */
void stream_open(struct stream *stream, struct station *station);

/** stream_connect - as tcp_connect returns */
int stream_connect(struct stream *stream, struct ip_address peer, uint16_t port);

/** stream_accept - whether there was a connection to accept */
bool stream_accept(struct stream *stream, struct stream_listener *listener);

/** stream_turn - what its application does now by the plan: take, push, shut down, close */
void stream_turn(struct stream *stream);

/** stream_close - with closed told later */
void stream_close(struct stream *stream);

/** stream_drop - close without waiting for anything */
void stream_drop(struct stream *stream);

/** stream_byte - of the pattern of @seed, at a place */
unsigned char stream_byte(uint32_t seed, uint64_t place);

/** stream_assert_nothing_left - a station has no socket, no connection, and nothing of any */
void stream_assert_nothing_left(const struct station *station);

/** stream_report - print what it has come to, after a test has failed */
void stream_report(const char *name, unsigned int i, const struct stream *stream);

#endif /* DEMI_TESTS_SIM_STREAM_H */
