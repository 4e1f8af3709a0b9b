/* SPDX-License-Identifier: MIT */
/* What both servers count and say. */
#ifndef ECHO_SERVING_H
#define ECHO_SERVING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "options.h"

/* Servers in several threads, which end together. */
struct serving_group {
	struct serving **members; /* [count] */
	uint32_t count;
	_Atomic bool is_ending; /* one of them has begun its end */
};

struct serving {
	const struct options *options;
	struct serving_group *group; /* NULL: it is the only one */
	uint64_t connections;        /* accepted */
	_Atomic uint64_t messages;   /* received: datagrams, or runs of a stream as they came */
	uint64_t bytes;
	uint64_t ends_ns;      /* the duration is over; 0: none was given */
	uint64_t stopping_ns;  /* when the end began; 0: it has not */
	uint64_t looked_ns;    /* when the group's messages were counted last */
	bool is_enough;        /* they are as many as were asked for */
	uint64_t complaint_ns; /* when the last complaint was printed */
	uint64_t swallowed;    /* complaints since */
};

void serving_init(struct serving *serving, const struct options *options);

/** serving_messages - what it has received; any thread */
static inline uint64_t serving_messages(const struct serving *serving)
{
	return atomic_load_explicit(&serving->messages, memory_order_relaxed);
}

/** serving_listening - say where; scripts read this line. */
void serving_listening(FILE *out, const struct sockaddr *address);

/** serving_received - count a message. */
void serving_received(struct serving *serving, uint64_t bytes);

/** serving_complain - say that something failed and that service goes on; one line a second. */
void serving_complain(struct serving *serving, const char *what, int error);

/**
 * serving_is_over - whether to end now
 * @now_ns:     the clock, at least every 100 ms
 * @unanswered: messages received whose answer is not out
 *
 * A signal, the count or the duration begin the end (see serving_is_stopping); it is complete when
 * every answer is out, after a second, or at a second signal.
 */
bool serving_is_over(struct serving *serving, uint64_t now_ns, uint64_t unanswered);

/** serving_is_stopping - whether nothing more is to be received. */
bool serving_is_stopping(const struct serving *serving);

/** serving_summary - the last line, of all members together. */
void serving_summary(FILE *out, const struct serving *const members[], uint32_t count);

#endif /* ECHO_SERVING_H */
